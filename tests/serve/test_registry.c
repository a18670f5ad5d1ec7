/* SPDX-License-Identifier: MIT */
/* tests/serve/test_registry.c - places of models are taken, left and taken by others */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "serve/models/registry_parts.h"
#include "tests/suite.h"

static struct registry registry;

static struct registry_model *reserve(uint32_t number)
{
	char name[16];

	snprintf(name, sizeof(name), "m%u", number);
	return registry_model_reserve(&registry, name);
}

/* Each model has one version, which is in this state. */
static void fill(enum registry_state state)
{
	memset(&registry, 0, sizeof(registry));
	for (uint32_t number = 0; number < DATA_MODELS_MAX; number++) {
		struct registry_model *model = reserve(number);

		ck_assert_ptr_nonnull(model);
		ck_assert_uint_eq(model->handle, number);
		registry_version_reserve(model, 1)->state = state;
	}
}

START_TEST(a_place_goes_to_another_name_when_nothing_is_left_in_it)
{
	static const enum registry_state busy[] = { REGISTRY_LOADING, REGISTRY_SERVING,
						    REGISTRY_DRAINING };
	struct registry_model *model;

	fill(busy[_i]);
	ck_assert_ptr_null(reserve(1000));
	ck_assert_ptr_eq(reserve(7), registry.models + 7);

	model = registry.models + 7;
	model->before = 1;
	memset(model->versions, 0, sizeof(model->versions));
	ck_assert_ptr_eq(reserve(7), model); /* its own again, and its handle is the same */
	ck_assert_uint_eq(model->handle, 7);
	ck_assert_str_eq(registry_name_of(&registry, 7), "m7");

	ck_assert_ptr_eq(reserve(1000), model);
	ck_assert_uint_eq(model->handle, DATA_MODELS_MAX + 7);
	ck_assert_uint_eq(model->before, 0);
	ck_assert_str_eq(model->name, "m1000");
	ck_assert_ptr_null(registry_model_find(&registry, "m7"));
	ck_assert_ptr_null(registry_name_of(&registry, 7));
	ck_assert_str_eq(registry_name_of(&registry, DATA_MODELS_MAX + 7), "m1000");
}
END_TEST

START_TEST(empty_places_go_in_turn_and_those_of_what_has_failed_after_them)
{
	fill(REGISTRY_FAILED);
	memset(registry.models[9].versions, 0, sizeof(registry.models[9].versions));
	memset(registry.models[3].versions, 0, sizeof(registry.models[3].versions));
	for (uint32_t number = 1000; number < 1004; number++) {
		static const uint32_t places[] = { 3, 9, 10, 11 };
		struct registry_model *model = reserve(number);

		ck_assert_ptr_eq(model, registry.models + places[number - 1000]);
		ck_assert_ptr_null(registry_version_find(model, 1));
		registry_version_reserve(model, 2)->state = REGISTRY_SERVING;
	}
}
END_TEST

START_TEST(a_handle_that_wraps_keeps_its_place)
{
	struct registry_model *model;

	fill(REGISTRY_SERVING);
	model = registry.models + 5;
	model->handle = UINT32_MAX - DATA_MODELS_MAX + 1 + 5;
	memset(model->versions, 0, sizeof(model->versions));
	ck_assert_ptr_eq(reserve(1000), model);
	ck_assert_uint_eq(model->handle, 5);
}
END_TEST

/* By bits which of the versions 1, 2 and 3 serve, and which of these are out of service; who answers
 * when version 4 goes. */
static const struct {
	uint32_t serve, stale, heir;
} heirs[] = {
	{ 0x7, 0x0, 3 }, { 0x7, 0x4, 2 }, { 0x7, 0x6, 1 }, { 0x7, 0x7, 3 },
	{ 0x5, 0x1, 3 }, { 0x1, 0x1, 1 }, { 0x0, 0x0, 0 },
};

START_TEST(what_can_answer_inherits_before_what_cannot)
{
	static struct version versions[4];
	static struct data data;
	struct registry_model *model;
	struct message message;

	memset(&registry, 0, sizeof(registry));
	registry.data = &data;
	data.data_eventfd = -1;
	ck_assert_int_eq(queue_init(&data.to_data, 4, sizeof(struct message)), 0);
	model = reserve(0);
	for (uint32_t index = 0; index < 4; index++) {
		struct registry_version *slot = registry_version_reserve(model, 1 + index);

		slot->state = heirs[_i].serve >> index & 1 || index == 3 ? REGISTRY_SERVING
									   : REGISTRY_FAILED;
		slot->version = &versions[index];
		versions[index].number = 1 + index;
		if (heirs[_i].stale >> index & 1)
			slot->error[0] = '!';
	}
	registry_model_inherit(&registry, model, 4);
	ck_assert_uint_eq(model->current ? model->current->number : 0, heirs[_i].heir);
	ck_assert_int_eq(queue_pop(&data.to_data, &message), heirs[_i].heir > 0);
	if (heirs[_i].heir > 0)
		ck_assert_ptr_eq(message.version, model->current);
	queue_deinit(&data.to_data);
}
END_TEST

struct tellings {
	uint32_t count, news;
	struct loader_progress last;
	char text[256];
};

static void telling_note(void *context, const struct registry_report *report)
{
	struct tellings *tellings = context;

	ck_assert_uint_eq(report->ticket, 5);
	ck_assert(!report->is_last);
	tellings->count++;
	tellings->news += report->weight == REGISTRY_NEWS;
	tellings->last = report->progress;
	snprintf(tellings->text, sizeof(tellings->text), "%s", report->text);
}

/* Eight times in LOADER_PROGRESS_NS, as the loader has it. */
START_TEST(who_asked_for_a_load_is_told_each_time_how_far_it_is_and_the_log_now_and_then)
{
	struct registry_job job = { .verb = REGISTRY_LOAD, .name = "m", .number = 2, .ticket = 5 };
	struct tellings tellings = { 0 };

	memset(&registry, 0, sizeof(registry));
	pthread_mutex_init(&registry.loader.mutex, NULL);
	registry.notify = telling_note;
	registry.context = &tellings;
	registry_job_tell_progress(&registry, &job);
	ck_assert_uint_eq(tellings.count, 0);
	for (uint64_t turn = 8; turn <= 24; turn++) {
		registry.loader.progress = (struct loader_progress){
			.arrived_bytes = turn << 30,
			.total_bytes = UINT64_C(32) << 30,
			.ns = turn * LOADER_PROGRESS_NS / 8,
		};
		registry.loader.has_progress = true;
		registry_job_tell_progress(&registry, &job);
	}
	ck_assert_uint_eq(tellings.count, 17);
	ck_assert_uint_eq(tellings.news, 3);
	ck_assert_uint_eq(tellings.last.arrived_bytes, UINT64_C(24) << 30);
	ck_assert_str_eq(tellings.text, "loading m@2: 24.00 of 32.00 GiB, 4.29 GB a second");
	pthread_mutex_destroy(&registry.loader.mutex);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("registry");
	TCase *tests = tcase_create("places");

	tcase_add_loop_test(tests, a_place_goes_to_another_name_when_nothing_is_left_in_it, 0, 3);
	tcase_add_test(tests, empty_places_go_in_turn_and_those_of_what_has_failed_after_them);
	tcase_add_test(tests, a_handle_that_wraps_keeps_its_place);
	tcase_add_loop_test(tests, what_can_answer_inherits_before_what_cannot, 0,
			    sizeof(heirs) / sizeof(heirs[0]));
	tcase_add_test(
		tests,
		who_asked_for_a_load_is_told_each_time_how_far_it_is_and_the_log_now_and_then);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
