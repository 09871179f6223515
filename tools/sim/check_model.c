// SPDX-License-Identifier: MIT
/* Each address space maps what its client thinks that it maps, page for page. */
#include "sim.h"

#include "uapi/xe/xe.h"

#define NAME "model"

static void bad_unit(struct mvm *vm, unsigned at, const struct vm_mapping *m)
{
	static const char *const kinds[] = { "nothing", "a NULL mapping", "an object" };
	const struct unit *unit = &vm->unit[at];

	sim_fail(vm->client->world, NAME,
		 "client %u, vm %u at 0x%llx: the client has %s there (%llu, unit %u), the device "
		 "%s (%llu, offset 0x%llx)", vm->client->index, vm->core_id,
		 (unsigned long long)UNIT_VA(at), kinds[unit->kind],
		 unit->obj ? (unsigned long long)unit->obj->bo_id : 0, unit->page,
		 !m ? kinds[0] : m->null ? kinds[1] : kinds[2],
		 m ? (unsigned long long)m->bo_id : 0, m ? (unsigned long long)m->offset : 0);
}

static bool agrees(const struct unit *unit, uint64_t va, const struct vm_mapping *m)
{
	uint64_t offset;

	if (!m) {
		return unit->kind == UNIT_NONE;
	}
	offset = m->offset + (va - m->start);
	if (unit->kind == UNIT_NULL || m->null) {
		return unit->kind == UNIT_NULL && m->null;
	}
	if (unit->kind != UNIT_OBJ || unit->readonly != m->readonly) {
		return false;
	}
	if (unit->obj->host) {
		return m->userptr && offset == PTR(unit->obj->host) + unit->page * UNIT_B;
	}
	return m->bo_id == unit->obj->bo_id && offset == unit->page * UNIT_B;
}

static void look_at(struct mvm *vm, struct vm *core)
{
	struct vm_mapping m = { 0 };
	bool more = vm_mapping_next(core, UNIT_VA(0), &m);

	for (unsigned i = 0; i < UNITS; i++) {
		uint64_t va = UNIT_VA(i);
		bool here;

		while (more && m.end <= va) {
			more = vm_mapping_next(core, m.end, &m);
		}
		here = more && m.start <= va;
		if (vm->unit[i].kind != UNIT_UNSURE &&
		    !agrees(&vm->unit[i], va, here ? &m : NULL)) {
			bad_unit(vm, i, here ? &m : NULL);
		}
	}
	vm_check(core);
}

static void quiet(struct world *w)
{
	for (unsigned i = 0; i < w->clients * CLIENT_VMS; i++) {
		struct mclient *c = &w->client[i / CLIENT_VMS];
		struct mvm *vm = &c->vm[i % CLIENT_VMS];
		struct xe_vm *xvm;

		if (!vm->used || vm->gone || !c->file) {
			continue;
		}
		xvm = xe_vm_lookup(c->file, vm->id);
		if (!xvm) {
			sim_fail(w, NAME, "client %u: vm %u is not there", c->index, vm->id);
		}
		look_at(vm, xvm->vm);
		xe_vm_put(xvm);
	}
}

const struct checker check_model = { .name = NAME, .quiet = quiet };
