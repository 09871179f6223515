/* SPDX-License-Identifier: MIT */
/* How a benchmark reaches the device: in its own process, or by the files of a machine. */
#ifndef BENCH_BACKEND_H
#define BENCH_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

/* A fresh device with an open render node. False when this way cannot have that schedule now. */
bool backend_open(const char *schedule);
void backend_close(void);
/* 0 or -errno. */
int backend_ioctl(uint32_t cmd, void *arg);
/* Where the CPU sees an object; as long as the device is open. */
void *backend_map(uint32_t handle, uint64_t size_B);

/* The device's own mutex, taken and released @n times; only where it can be reached. */
extern const bool backend_has_locks;
void backend_mutex_pairs(unsigned n);

#endif
