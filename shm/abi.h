/* SPDX-License-Identifier: MIT */
/*
 * shm/abi.h - numbers that both sides of a connection agree on
 *
 * A number in this file never changes its meaning; new ones are appended.
 * A change that an older peer cannot read raises HEARTH_ABI_VERSION.
 */
#ifndef HEARTH_SHM_ABI_H
#define HEARTH_SHM_ABI_H

#include <stdint.h>

#ifdef __cplusplus
#define HEARTH_ASSERT(expression) static_assert(expression, #expression)
#else
#define HEARTH_ASSERT(expression) _Static_assert(expression, #expression)
#endif

#define HEARTH_MAGIC UINT32_C(0x48545248) /* "HRTH", little endian */
#define HEARTH_ABI_VERSION 1u
#define HEARTH_ABI_OLDEST 1u /* the oldest version this tree still speaks */

/* Cache lines are prefetched in pairs: one writer per 128 bytes. */
#define HEARTH_LINE_PAIR_BYTES 128u
#define HEARTH_PAGE_BYTES 4096u

#define HEARTH_SLOTS_MIN 1u
#define HEARTH_SLOTS_MAX 4096u
#define HEARTH_SLOTS_DEFAULT 256u
#define HEARTH_ARENA_BYTES_MIN 4096u
#define HEARTH_ARENA_BYTES_MAX (UINT32_C(1) << 30)
#define HEARTH_REQUEST_ARENA_BYTES_DEFAULT (UINT32_C(16) << 20)
#define HEARTH_RESPONSE_ARENA_BYTES_DEFAULT (UINT32_C(4) << 20)

#define HEARTH_NAME_BYTES 64u      /* model name with its terminator */
#define HEARTH_TENSORS_MAX 64u     /* inputs, and outputs, of one request */
#define HEARTH_RANK_MAX 4u         /* dimensions of a tensor that crosses the rings */
#define HEARTH_ALIGN_BYTES 64u     /* tensors inside a range start at multiples of this */

/* Feature bits: a client asks, the daemon grants a subset. */
#define HEARTH_FEATURE_FUTEX_BELL (UINT64_C(1) << 0)  /* the daemon sleeps on sq_bell */
#define HEARTH_FEATURE_SOCKET_BELL (UINT64_C(1) << 1) /* the daemon sleeps on the socket */
#define HEARTH_FEATURE_PROGRESS (UINT64_C(1) << 2)    /* streaming operations may report */
#define HEARTH_FEATURE_TEST (UINT64_C(1) << 3)        /* HEARTH_OP_STREAM_TEST is served */

/* Data types carry ONNX's numbers (TensorProto.DataType). */
#define HEARTH_F32 1u
#define HEARTH_I32 6u
#define HEARTH_I64 7u

/* Operations of a request slot. */
#define HEARTH_OP_PING 1u        /* computes nothing */
#define HEARTH_OP_INFER 2u       /* request range: hearth_request_header and tensors */
#define HEARTH_OP_STREAM_TEST 3u /* counts in the response range, with progress marks */
#define HEARTH_OP_ECHO 4u        /* copies the request range to the response range */

#define HEARTH_ECHO_BYTES_MAX (UINT32_C(4) << 20) /* of one HEARTH_OP_ECHO */

/* Completion kinds. */
#define HEARTH_PROGRESS 1u /* more follows for this id */
#define HEARTH_FINAL 2u    /* exactly one for each admitted request */

/* Completion flags. */
#define HEARTH_COMPLETION_RETRIED (UINT32_C(1) << 0) /* executed a second time after a device error */

/* Numerics classes: same version and same class mean the same bits. */
#define HEARTH_NUMERICS_NONE 0u    /* nothing was computed */
#define HEARTH_NUMERICS_F32 1u     /* f32, multiply and add rounded separately */
#define HEARTH_NUMERICS_F32_FMA 2u /* f32, fused multiply-add */

/* How a waiting client wants to be woken (cq_mode). */
#define HEARTH_CQ_POLLING 0u /* not at all */
#define HEARTH_CQ_FUTEX 1u   /* cq_bell changes and is woken */
#define HEARTH_CQ_SOCKET 2u  /* one message on the connection's socket */

#endif
