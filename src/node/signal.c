// SPDX-License-Identifier: MIT
/*
 * SIGSEGV and SIGBUS: once there is a device its handler comes first, because a GPU access to
 * memory the client has unmapped is the GPU's fault and not the client's. The client's own
 * disposition is kept by the port, which calls it for everything else. Before there is a device
 * nothing needs to be different; the port then finds what the client has installed so far.
 */
#include "node/node.h"

static bool is_diverted(int sig)
{
	return (sig == SIGSEGV || sig == SIGBUS) && node_device_if_any();
}

EXPORT int sigaction(int sig, const struct sigaction *act, struct sigaction *old_out)
{
	if (!is_diverted(sig)) {
		return REAL(sigaction)(sig, act, old_out);
	}
	return node_result(port_client_sigaction(sig, act, old_out));
}

EXPORT sighandler_t signal(int sig, sighandler_t handler)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;
	int ret;

	if (!is_diverted(sig)) {
		return REAL(signal)(sig, handler);
	}
	sigemptyset(&act.sa_mask);
	sigaddset(&act.sa_mask, sig);
	ret = port_client_sigaction(sig, &act, &old);
	if (ret) {
		errno = -ret;
		return SIG_ERR;
	}
	return old.sa_handler;
}
