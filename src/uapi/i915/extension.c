// SPDX-License-Identifier: MIT
/* Chains of extensions, as all ioctls of i915 have them. */
#include "uapi/i915/i915.h"

#define CHAIN_MAX 512u /* a longer one is a circle */

int i915_extensions(uint64_t addr, int (*const *func)(uint64_t addr, void *ctx), unsigned count,
		    void *ctx)
{
	for (unsigned n = 0; addr; n++) {
		struct i915_user_extension ext;
		int ret;

		if (n == CHAIN_MAX) {
			return -E2BIG;
		}
		ret = port_copy_from_user(&ext, addr, sizeof(ext));
		if (ret) {
			return ret;
		}
		if (ext.flags || ext.rsvd[0] || ext.rsvd[1] || ext.rsvd[2] || ext.rsvd[3] ||
		    ext.name >= count || !func[ext.name]) {
			return -EINVAL;
		}
		ret = func[ext.name](addr, ctx);
		if (ret) {
			return ret;
		}
		addr = ext.next_extension;
	}
	return 0;
}
