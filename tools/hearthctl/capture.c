/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/capture.c - stdout and stderr are variables: another stream takes their place */
#include "tools/hearthctl/capture.h"

#include <errno.h>
#include <stdlib.h>

int capture_begin(struct capture *capture, FILE **stream)
{
	*capture = (struct capture){0};
	capture->memory = open_memstream(&capture->text, &capture->bytes);
	if (!capture->memory)
		return -errno;
	capture->stream = stream;
	capture->ordinary = *stream;
	*stream = capture->memory;
	return 0;
}

void capture_end(struct capture *capture)
{
	if (!capture->stream)
		return;
	*capture->stream = capture->ordinary;
	capture->stream = NULL;
	fclose(capture->memory);
	capture->memory = NULL;
}

void capture_deinit(struct capture *capture)
{
	capture_end(capture);
	free(capture->text);
	*capture = (struct capture){0};
}
