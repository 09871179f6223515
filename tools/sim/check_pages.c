// SPDX-License-Identifier: MIT
/*
 * Frames and page tables: lists, states and counts of all regions and all tables agree, no access
 * ever went through a translation that should have been gone, and client memory is found while it
 * is there.
 */
#include "sim.h"

#include "uapi/xe/xe.h"

#define NAME "pages"

static void event(struct mdevice *device, const struct event *event)
{
	if (event->type == EVENT_STALE_ACCESS) {
		sim_fail(device->world, NAME, "a stale translation of vm %llu at 0x%llx was used",
			 (unsigned long long)event->arg[0], (unsigned long long)event->arg[1]);
	}
	if (event->type == EVENT_USERPTR_REPIN && event->arg[3]) {
		pin_failed(device, event);
	}
}

static void quiet(struct world *w)
{
	for (unsigned i = 0; i < w->devices; i++) {
		struct mem *mem = &uapi_device_core(w->device[i].uapi)->mem;

		for (unsigned k = 0; k < mem->region_count; k++) {
			region_check(&mem->region[k]);
		}
		if (mem->spill.size_B) {
			region_check(&mem->spill);
		}
	}
	for (unsigned i = 0; i < w->clients * CLIENT_VMS; i++) {
		struct mclient *c = &w->client[i / CLIENT_VMS];
		struct mvm *vm = &c->vm[i % CLIENT_VMS];
		struct xe_vm *xvm = vm->used && !vm->gone && c->file
					    ? xe_vm_lookup(c->file, vm->id) : NULL;

		if (xvm) {
			pt_check(&xvm->vm->pt);
			xe_vm_put(xvm);
		}
	}
}

const struct checker check_pages = { .name = NAME, .event = event, .quiet = quiet };
