/* SPDX-License-Identifier: MIT */
/* daemon/base/error.c - the trace of the calling thread: one sentence, then where it passed */

#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define ERR_MESSAGE_BYTES 2048
#define ERR_FRAMES_MAX 16
#define ERR_FRAMES_BYTES 1536

struct trace {
	char message[ERR_MESSAGE_BYTES];
	struct {
		const char *file; /* a literal of the caller */
		int line;
	} frames[ERR_FRAMES_MAX];
	unsigned frame_count; /* counts past ERR_FRAMES_MAX: the outermost are not kept */
	char text[ERR_FRAMES_BYTES];
};

static _Thread_local struct trace trace;

static void trace_push(const char *file, int line)
{
	if (trace.frame_count < ERR_FRAMES_MAX) {
		trace.frames[trace.frame_count].file = file;
		trace.frames[trace.frame_count].line = line;
	}
	trace.frame_count++;
}

int err_raise_at(int error, const char *file, int line, const char *format, ...)
{
	char message[ERR_MESSAGE_BYTES]; /* the arguments may point into trace.message */
	int saved_errno = errno;
	va_list arguments;

	assert(error < 0);
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);

	text_clean(message); /* what a peer or a file has named, and characters that are cut */
	memcpy(trace.message, message, strlen(message) + 1);
	trace.frame_count = 0;
	trace_push(file, line);
	errno = saved_errno;
	return error;
}

int err_trace_at(int error, const char *file, int line)
{
	if (error < 0)
		trace_push(file, line);
	return error;
}

int err_fold_at(int result, const char *file, int line)
{
	if (result > 0)
		return err_raise_at(-ENOTRECOVERABLE, file, line,
				    "outcome %d of a call was not handled by its caller", result);
	return err_trace_at(result, file, line);
}

const char *err_message(void)
{
	return trace.message;
}

const char *err_frames(void)
{
	size_t used = 0;
	unsigned frame;

	trace.text[0] = '\0';
	for (frame = 0; frame < trace.frame_count && frame < ERR_FRAMES_MAX; frame++) {
		int printed = snprintf(trace.text + used, sizeof(trace.text) - used, "%s%s:%d",
				       frame > 0 ? " < " : "", trace.frames[frame].file,
				       trace.frames[frame].line);
		if (printed < 0 || (size_t)printed >= sizeof(trace.text) - used)
			return trace.text;
		used += (size_t)printed;
	}
	if (trace.frame_count > ERR_FRAMES_MAX)
		snprintf(trace.text + used, sizeof(trace.text) - used, " < %u more",
			 trace.frame_count - ERR_FRAMES_MAX);
	return trace.text;
}
