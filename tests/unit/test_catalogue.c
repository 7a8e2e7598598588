/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "catalogue.h"
#include "config.h"

static const char *found(const char *name, const char *value)
{
	const struct catalogue_entry *c = catalogue_find(span_str(name), span_str(value));

	return c ? c->provider : "";
}

static void variable__by_name_by_token_or_by_its_end__is_known(void **state)
{
	(void)state;
	assert_string_equal(found("OPENAI_API_KEY", "whatever"), "OpenAI");
	assert_string_equal(found("GH_TOKEN", ""), "GitHub");
	assert_string_equal(found("BACKEND_OPENAI_API_KEY", "whatever"), "OpenAI");
	assert_string_equal(found("X", "sk-ant-api03-abc"), "Anthropic");
	assert_string_equal(found("X", "github_pat_abc"), "GitHub");
	/* the name says more than the token, the token more than the end of the name */
	assert_string_equal(found("OPENROUTER_API_KEY", "sk-ant-abc"), "OpenRouter");
	assert_string_equal(found("MY_OPENAI_API_KEY", "sk-or-abc"), "OpenRouter");
	assert_string_equal(found("X", "sk-abc"), "");
	assert_string_equal(found("OPENAI_API_KEY_2", "abc"), "");
	assert_string_equal(found("XOPENAI_API_KEY", "abc"), "");
	assert_string_equal(found("X", "hf_"), "");
	assert_string_equal(found("", ""), "");
}

/* Each entry, as init writes it, must be a policy. */
static void entries__as_secrets_of_a_policy__are_valid(void **state)
{
	struct report r = {0};
	struct config c;

	(void)state;
	assert_true(catalogue_count() >= 42);
	assert_null(catalogue_get(catalogue_count()));
	for (size_t i = 0; i < catalogue_count(); i++) {
		const struct catalogue_entry *e = catalogue_get(i);
		struct buf yaml = {0};
		const char *first = strchrnul(e->variables, ' ');

		assert_int_equal(buf_printf(&yaml, "secrets:\n  %.*s:\n    file: t\n    inject: [%s]\n    hosts: [", (int)(first - e->variables), e->variables,
		                            e->inject ? e->inject : "header"), 0);
		for (const char *h = e->kind == CATALOGUE_REGISTRY ? "" : e->hosts; *h; h += *h == ' ') {
			const char *end = strchrnul(h, ' ');

			assert_int_equal(buf_printf(&yaml, "\"%.*s\",", (int)(end - h), h), 0);
			h = end;
		}
		assert_int_equal(buf_printf(&yaml, "]\n"), 0);
		if (e->headers)
			assert_int_equal(buf_printf(&yaml, "    headers: [%s]\n", e->headers), 0);
		if (config_parse(&c, buf_span(&yaml), e->provider, &r) < 0)
			fail_msg("%.*s%.*s", (int)yaml.len, (char *)yaml.p, (int)r.text.len, (char *)r.text.p);
		assert_true((e->kind == CATALOGUE_SENT) == (c.secret[0].hosts.count > 0));
		config_free(&c);
		buf_deinit(&yaml);
	}
	report_deinit(&r);
}

static void variables_and_prefixes__stand_at_one_entry_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < catalogue_count(); i++) {
		const struct catalogue_entry *e = catalogue_get(i);

		for (const char *v = e->variables; *v; v += *v == ' ') {
			const char *end = strchrnul(v, ' ');

			if (catalogue_find(span_of(v, (size_t)(end - v)), span_str("")) != e)
				fail_msg("%.*s", (int)(end - v), v);
			v = end;
		}
		for (size_t k = 0; e->prefix && k < i; k++)
			if (catalogue_get(k)->prefix && strcmp(catalogue_get(k)->prefix, e->prefix) == 0)
				fail_msg("%s", e->prefix);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variable__by_name_by_token_or_by_its_end__is_known),
		cmocka_unit_test(entries__as_secrets_of_a_policy__are_valid),
		cmocka_unit_test(variables_and_prefixes__stand_at_one_entry_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
