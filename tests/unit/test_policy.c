/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exchange.h"
#include "policy_fixture.h"

#define OPENAI "sk-proj-Zx81kQm4TnVb7Lr2WcYd9Hs3PgJf6Ua0"
#define GITHUB "ghp_9fKq2LmX7vRt4BnZ8cWy1HdJ5sPg3UaE6oQi"
#define PLAIN "Tq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0Sa"
#define TOKENS "OPENAI=" OPENAI "\nGITHUB=" GITHUB "\nPLAIN=" PLAIN "\n"

static const char rich[] = "secrets:\n"
                           "  OPENAI:\n"
                           "    file: tokens\n"
                           "    hosts: [api.openai.com, \"*.openai.example.com\"]\n"
                           "    inject: [header, body]\n"
                           "    headers: [X-My-Key]\n"
                           "    methods: [GET, POST]\n"
                           "    paths: [/v1/]\n"
                           "  GITHUB:\n"
                           "    file: tokens\n"
                           "    hosts: [api.github.com, \"github.com:8443\"]\n"
                           "    inject: [query, path]\n"
                           "  PLAIN: { file: tokens, hosts: [] }\n"
                           "hosts:\n"
                           "  docs.python.org: { methods: [GET], paths: [/3/, /index.html] }\n"
                           "  \"*.example.org\": { methods: [POST] }\n"
                           "  own.example.org: {}\n"
                           "  web.example.net: { http: allow, ranges: allow }\n"
                           "  \"web.example.net:8080\": { http: allow }\n"
                           "  eu.openai.example.com: { require: true, connect: \"127.0.0.1:9444\", ca: tests/ca.crt }\n";

static enum refusal_code ask(const struct policy *p, const char *agent, const char *host, const char *method, const char *path, bool plain)
{
	struct policy_request q = {span_str(agent), span_str(host), span_str(method), span_str(path), plain};

	return policy_request(p, &q);
}

static bool grants(const struct policy *p, const char *agent, const char *host, const char *method, const char *path, unsigned entry,
                   enum policy_inject place)
{
	struct policy_request q = {span_str(agent), span_str(host), span_str(method), span_str(path), false};
	const struct policy_grant *g;
	struct policy_grant room;
	struct buf b = {0};
	bool yes;

	assert_int_equal(policy_grant_encode(p, &q, &b), 0);
	assert_true(b.len <= EXCHANGE_SCOPE_MAX);
	g = policy_grant_decode(p, buf_span(&b), &room);
	assert_non_null(g);
	yes = policy_grants(p, g, entry, place);
	assert_int_equal(policy_secret_bar(p, &q, entry) == BAR_NONE && (policy_secret_places(p, entry) & place), yes);
	buf_deinit(&b);
	return yes;
}

static void host__by_name_port_and_scheme__is_allowed_or_says_why_not(void **state)
{
	static const struct {
		const char *host;
		bool plain;
		enum refusal_code want;
	} cases[] = {
		{"api.openai.com:443", false, REFUSAL_NONE},
		{"API.openai.com.:443", false, REFUSAL_NONE},
		{"api.openai.com:444", false, REFUSAL_PORT_DENIED},
		{"api.openai.com:443", true, REFUSAL_PORT_DENIED},
		{"github.com:8443", false, REFUSAL_NONE},
		{"github.com:443", false, REFUSAL_PORT_DENIED},
		{"eu.openai.example.com:443", false, REFUSAL_NONE},
		{"us.openai.example.com:443", false, REFUSAL_NONE},
		{"us.openai.example.com:80", true, REFUSAL_PORT_DENIED},
		{"openai.example.com:443", false, REFUSAL_HOST_DENIED},
		{"a.b.openai.example.com:443", false, REFUSAL_HOST_DENIED},
		{"example.org:443", false, REFUSAL_HOST_DENIED},
		{"web.example.net:443", false, REFUSAL_NONE},
		{"web.example.net:80", true, REFUSAL_NONE},
		{"web.example.net:80", false, REFUSAL_PORT_DENIED},
		{"web.example.net:8080", true, REFUSAL_NONE},
		{"web.example.net:8080", false, REFUSAL_PORT_DENIED},
		{"evil.test:443", false, REFUSAL_HOST_DENIED},
		{"api.openai.com.evil.test:443", false, REFUSAL_HOST_DENIED},
		{"127.0.0.1:443", false, REFUSAL_HOST_DENIED},
		{"[::1]:443", false, REFUSAL_HOST_DENIED},
		{"*.example.org:443", false, REFUSAL_HOST_DENIED},
		{"", false, REFUSAL_HOST_DENIED},
		{"canary.slapenir.invalid:443", false, REFUSAL_HOST_DENIED},
	};
	struct fixture *f = *state;
	const struct policy *p = fixture_load(f, rich, TOKENS);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (ask(p, "any", cases[i].host, "POST", "/", cases[i].plain) != cases[i].want)
			fail_msg("%s, plain %d", cases[i].host, cases[i].plain);
		if (!cases[i].plain && policy_connect(p, span_str("any"), span_str(cases[i].host)) != cases[i].want)
			fail_msg("CONNECT %s", cases[i].host);
	}
}

static void method_and_path__of_a_host__decide_the_request(void **state)
{
	struct fixture *f = *state;
	const struct policy *p = fixture_load(f, rich, TOKENS);
	const char *h = "docs.python.org:443";

	assert_int_equal(ask(p, "", h, "GET", "/3/x", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "", h, "HEAD", "/3/x", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "", h, "POST", "/3/x", false), REFUSAL_METHOD_DENIED);
	assert_int_equal(ask(p, "", h, "get", "/3/x", false), REFUSAL_METHOD_DENIED);
	assert_int_equal(ask(p, "", h, "TRACE", "/3/x", false), REFUSAL_TRACE_REFUSED);
	assert_int_equal(ask(p, "", h, "GET", "/3", false), REFUSAL_PATH_DENIED);
	assert_int_equal(ask(p, "", h, "GET", "/index.html", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "", h, "GET", "/index.html2", false), REFUSAL_PATH_DENIED);
	assert_int_equal(ask(p, "", h, "GET", "/%33/x", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "", h, "GET", "/3%2Fx", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "", h, "GET", "/3/../2/", false), REFUSAL_PATH_DENIED);
	assert_int_equal(ask(p, "", h, "GET", "/2/../3/", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "", h, "GET", "/2/..%2f3/", false), REFUSAL_PATH_DENIED);
	assert_int_equal(ask(p, "", h, "GET", "/3/..%2f..%2f2/", false), REFUSAL_PATH_DENIED);
	assert_int_equal(ask(p, "", h, "GET", "*", false), REFUSAL_PATH_DENIED);
	assert_int_equal(ask(p, "", h, "GET", "", false), REFUSAL_PATH_DENIED);
	assert_int_equal(ask(p, "", "api.github.com:443", "OPTIONS", "*", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "", "api.github.com:443", "GET", "/../x", false), REFUSAL_PATH_DENIED);
	assert_int_equal(ask(p, "", "api.github.com:443", "TRACE", "/", false), REFUSAL_TRACE_REFUSED);
	/* exact before wildcard, and not mixed */
	assert_int_equal(ask(p, "", "a.example.org:443", "GET", "/", false), REFUSAL_METHOD_DENIED);
	assert_int_equal(ask(p, "", "own.example.org:443", "GET", "/", false), REFUSAL_NONE);
	assert_false(policy_host_is_plain_sailing(p, span_str(""), span_str(h)));
	assert_false(policy_host_is_plain_sailing(p, span_str(""), span_str("eu.openai.example.com:443")));
	assert_true(policy_host_is_plain_sailing(p, span_str(""), span_str("api.openai.com:443")));
	assert_true(policy_host_requires(p, span_str("eu.openai.example.com:443")));
	assert_false(policy_host_requires(p, span_str("us.openai.example.com:443")));
}

static void secret__is_granted_only_where_everything_fits(void **state)
{
	struct fixture *f = *state;
	const struct policy *p = fixture_load(f, rich, TOKENS);
	struct policy_request plain = {span_str(""), span_str("api.openai.com:443"), span_str("GET"), span_str("/v1/x"), true};

	assert_true(grants(p, "", "api.openai.com:443", "POST", "/v1/x", 0, INJECT_HEADER));
	assert_true(grants(p, "", "api.openai.com:443", "HEAD", "/v1/x", 0, INJECT_BODY));
	assert_false(grants(p, "", "api.openai.com:443", "POST", "/v1/x", 0, INJECT_QUERY));
	assert_false(grants(p, "", "api.openai.com:443", "PUT", "/v1/x", 0, INJECT_HEADER));
	assert_false(grants(p, "", "api.openai.com:443", "POST", "/v2/x", 0, INJECT_HEADER));
	assert_false(grants(p, "", "api.openai.com:443", "POST", "/v1/../v2/x", 0, INJECT_HEADER));
	assert_false(grants(p, "", "api.openai.com:443", "POST", "/v2/..%2Fv1/x", 0, INJECT_HEADER));
	assert_false(grants(p, "", "api.openai.com:444", "POST", "/v1/x", 0, INJECT_HEADER));
	assert_true(grants(p, "", "us.openai.example.com:443", "POST", "/v1/x", 0, INJECT_HEADER));
	assert_true(grants(p, "", "eu.openai.example.com:443", "POST", "/v1/x", 0, INJECT_HEADER)); /* an exact entry under the wildcard */
	assert_false(grants(p, "", "a.b.openai.example.com:443", "POST", "/v1/x", 0, INJECT_HEADER));
	assert_false(grants(p, "", "api.github.com:443", "POST", "/v1/x", 0, INJECT_HEADER));
	assert_true(grants(p, "", "api.github.com:443", "DELETE", "/anything", 1, INJECT_PATH));
	assert_false(grants(p, "", "api.github.com:443", "DELETE", "/anything", 1, INJECT_HEADER));
	assert_false(grants(p, "", "github.com:443", "GET", "/", 1, INJECT_PATH));
	assert_true(grants(p, "", "github.com:8443", "GET", "/", 1, INJECT_QUERY));
	for (unsigned place = INJECT_HEADER; place <= INJECT_BODY; place *= 2)
		assert_false(grants(p, "", "api.openai.com:443", "POST", "/v1/x", 2, place)); /* hosts: [] */
	assert_false(grants(p, "", "api.openai.com:443", "POST", "/v1/x", 99, INJECT_HEADER));

	struct buf b = {0};
	struct policy_grant room;
	const struct policy_grant *g;

	assert_int_equal(policy_grant_encode(p, &plain, &b), 0);
	g = policy_grant_decode(p, buf_span(&b), &room);
	assert_non_null(g);
	assert_false(policy_grants(p, g, 0, INJECT_HEADER));
	assert_int_equal(policy_secret_bar(p, &plain, 0), BAR_PLAIN);
	buf_deinit(&b);
}

static void grant__of_other_bytes__is_refused(void **state)
{
	static const uint8_t bad[][10] = {{0, 0, 1, 0, 255, 255, 255, 255}, {0, 0, 0, 0, 0, 0, 0, 9}, {255, 255, 255, 254, 255, 255, 255, 255}};
	struct fixture *f = *state;
	const struct policy *p = fixture_load(f, rich, TOKENS);
	struct policy_grant room;
	uint8_t longest[8 + sizeof(room.rules) + 1] = {0};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(policy_grant_decode(p, span_of(bad[i], 8), &room));
	assert_null(policy_grant_decode(p, span_of(bad[0], 7), &room));
	assert_null(policy_grant_decode(p, (struct span){0}, &room));
	assert_null(policy_grant_decode(p, span_of(longest, sizeof(longest)), &room));
}

static void headers__built_in_and_named__are_credentials(void **state)
{
	struct fixture *f = *state;
	const struct policy *p = fixture_load(f, rich, TOKENS);

	assert_true(policy_is_credential_header(p, span_str("authorization")));
	assert_true(policy_is_credential_header(p, span_str("x-goog-api-key")));
	assert_true(policy_is_credential_header(p, span_str("x-my-key")));
	assert_false(policy_is_credential_header(p, span_str("cookie")));
	assert_false(policy_is_credential_header(p, span_str("x-my-key2")));
	assert_false(policy_is_credential_header(p, span_str("")));
	assert_true(policy_secret_takes_header(p, 0, span_str("x-my-key")));
	assert_true(policy_secret_takes_header(p, 0, span_str("x-api-key")));
	assert_false(policy_secret_takes_header(p, 0, span_str("user-agent")));
	assert_false(policy_secret_takes_header(p, 1, span_str("authorization"))); /* inject: does not name header */
	assert_true(policy_secret_takes_header(p, 2, span_str("authorization")));
	assert_false(policy_secret_takes_header(p, 2, span_str("x-my-key")));
}

static void agents__listed__have_what_their_lines_say(void **state)
{
	static const char yaml[] = "secrets:\n"
	                           "  OPENAI: { file: tokens, hosts: [api.openai.com, \"*.openai.example.com\"] }\n"
	                           "  GITHUB: { file: tokens, hosts: [api.github.com] }\n"
	                           "hosts:\n"
	                           "  docs.python.org: {}\n"
	                           "  \"*.example.org\": { methods: [GET] }\n"
	                           "  x.openai.example.com: {}\n"
	                           "  web.example.net: { http: allow }\n"
	                           "agents:\n"
	                           "  narrow: { secrets: [OPENAI], hosts: [docs.python.org, a.example.org] }\n"
	                           "  open: { secrets: all, limits: { streams: 3 } }\n"
	                           "  bare: {}\n"
	                           "  none: { hosts: [], secrets: [] }\n"
	                           "  web: { hosts: [web.example.net, \"*.example.org\"] }\n";
	struct fixture *f = *state;
	const struct policy *p = fixture_load(f, yaml, TOKENS);

	assert_int_equal(ask(p, "stranger", "docs.python.org:443", "GET", "/", false), REFUSAL_AGENT_UNKNOWN);
	assert_int_equal(policy_connect(p, span_str(""), span_str("docs.python.org:443")), REFUSAL_AGENT_UNKNOWN);
	assert_int_equal(policy_connect(p, span_str("slapenir-canary"), span_str("docs.python.org:443")), REFUSAL_AGENT_UNKNOWN);
	assert_int_equal(ask(p, "narrow", "docs.python.org:443", "GET", "/", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "narrow", "api.openai.com:443", "GET", "/", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "narrow", "x.openai.example.com:443", "GET", "/", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "narrow", "y.openai.example.com:443", "GET", "/", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "narrow", "api.github.com:443", "GET", "/", false), REFUSAL_HOST_DENIED);
	assert_int_equal(ask(p, "narrow", "a.example.org:443", "GET", "/", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "narrow", "a.example.org:443", "POST", "/", false), REFUSAL_METHOD_DENIED); /* the wildcard's settings */
	assert_int_equal(ask(p, "narrow", "b.example.org:443", "GET", "/", false), REFUSAL_HOST_DENIED);
	assert_int_equal(ask(p, "open", "b.example.org:443", "GET", "/", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "bare", "api.github.com:443", "GET", "/", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "none", "docs.python.org:443", "GET", "/", false), REFUSAL_HOST_DENIED);
	assert_int_equal(ask(p, "web", "web.example.net:80", "GET", "/", true), REFUSAL_NONE);
	assert_int_equal(ask(p, "web", "web.example.net:443", "GET", "/", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "web", "a.example.org:443", "GET", "/", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "web", "docs.python.org:443", "GET", "/", false), REFUSAL_HOST_DENIED);

	assert_true(policy_agent_may_use(p, span_str("narrow"), 0));
	assert_false(policy_agent_may_use(p, span_str("narrow"), 1));
	assert_true(policy_agent_may_use(p, span_str("open"), 1));
	assert_false(policy_agent_may_use(p, span_str("bare"), 0));
	assert_false(policy_agent_may_use(p, span_str("stranger"), 0));
	assert_true(grants(p, "narrow", "api.openai.com:443", "GET", "/", 0, INJECT_HEADER));
	assert_false(grants(p, "bare", "api.openai.com:443", "GET", "/", 0, INJECT_HEADER));
	assert_false(grants(p, "stranger", "api.openai.com:443", "GET", "/", 0, INJECT_HEADER));
	assert_false(grants(p, "narrow", "api.github.com:443", "GET", "/", 1, INJECT_HEADER));

	assert_int_equal(policy_agent_limits(p, span_str("open")).streams, 3);
	assert_int_equal(policy_agent_limits(p, span_str("bare")).streams, 0);
	assert_false(policy_host_is_plain_sailing(p, span_str("open"), span_str("docs.python.org:443")));
	assert_true(policy_host_is_plain_sailing(p, span_str("bare"), span_str("docs.python.org:443")));
}

static void agents__absent__everybody_may_use_all(void **state)
{
	struct fixture *f = *state;
	const struct policy *p = fixture_load(f, rich, TOKENS);

	assert_true(policy_agent_may_use(p, span_str("whoever"), 0));
	assert_true(policy_agent_may_use(p, span_str(""), 1));
}

static void expect_refused(struct fixture *f, const char *yaml, const char *tokens, const char *message)
{
	struct policy *p = fixture_compile(f, yaml, tokens, NULL);

	if (p || !strstr(f->said, message))
		fail_msg("%s\ngave: %s\nwithout: %s", yaml, f->said, message);
}

static void policy__that_contradicts_itself__is_refused(void **state)
{
	struct fixture *f = *state;

	expect_refused(f, "hosts:\n  a.example.com: {}\n  A.example.com.: {}\n", "", ":3: hosts: a.example.com:443 is named twice, the first time on line 2");
	expect_refused(f, "hosts:\n  a.example.com: {http: allow}\n  \"a.example.com:80\": {http: allow}\n", "", "is named twice");
	expect_refused(f, "secrets:\n  PLAIN: {file: tokens, hosts: [\"a.example.com:8080\"]}\nhosts:\n  \"a.example.com:8080\": {http: allow}\n", TOKENS,
	               ":2: PLAIN: a.example.com:8080 is plain http");
	expect_refused(f, "secrets:\n  PLAIN: {file: tokens, hosts: [a.example.com]}\nhosts:\n  a.example.com: {ranges: allow}\n", TOKENS,
	               ":4: a.example.com:443: `ranges: allow`");
	expect_refused(f, "secrets:\n  PLAIN: {file: tokens, hosts: [\"*.example.com\"]}\nhosts:\n  a.example.com: {ranges: allow}\n", TOKENS, "`ranges: allow`");
	expect_refused(f, "secrets:\n  PLAIN: {file: tokens, hosts: [a.example.com]}\nhosts:\n  \"*.example.com\": {ranges: allow}\n", TOKENS, "`ranges: allow`");
	expect_refused(f, "secrets:\n  ABSENT: {file: tokens, hosts: [a.example.com]}\nhosts:\n  a.example.com: {ranges: allow}\n", "", "`ranges: allow`");
	expect_refused(f, "agents:\n  a: {secrets: [OPENIA]}\nsecrets:\n  OPENAI: {file: tokens, hosts: []}\n", TOKENS, ":2: a: OPENIA is not among secrets:; did you mean OPENAI?");
	expect_refused(f, "agents:\n  a: {hosts: [b.example.com]}\n", "", ":2: a: b.example.com:443 is allowed neither under hosts: nor by a secret");
	expect_refused(f, "secrets:\n  PLAIN: {file: tokens, hosts: []}\n", "PLAIN=1234567890\nPLAIN=1234567890\n", "tokens:2: PLAIN is given a second time");
}

static void given_placeholder__that_meets_another__is_refused(void **state)
{
	static const char two[] = "secrets:\n  A: {file: tokens, hosts: [], placeholder: \"%s\"}\n  B: {file: tokens, hosts: [], placeholder: \"%s\"}\n";
	static const struct {
		const char *a, *b, *message;
	} cases[] = {
		{"DUMMY_TOKEN", "DUMMY_TOKEN", "placeholder equals, contains or lies in the placeholder of"},
		{"DUMMY_TOKEN", "DUMMY_TOKEN_2", "in the placeholder of"},
		{"MY_DUMMY_TOKEN", "DUMMY_TOKEN", "in the placeholder of"},
		{"PlainValueOfA-1234567", "DUMMY_B_B", "A: its placeholder equals, contains or lies in the value of A"},
		{"DUMMY_A_A", "xxPlainValueOfA-1234567yy", "B: its placeholder equals, contains or lies in the value of A"},
		{"ValueOfB", "DUMMY_B_B", "A: its placeholder equals, contains or lies in the value of B"},
	};
	struct fixture *f = *state;
	char yaml[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(yaml, sizeof(yaml), two, cases[i].a, cases[i].b);
		expect_refused(f, yaml, "A=PlainValueOfA-1234567\nB=OtherValueOfB-7654321\n", cases[i].message);
	}
	snprintf(yaml, sizeof(yaml), two, "DUMMY_A_A", "DUMMY_B_B");
	assert_non_null(fixture_load(f, yaml, "A=PlainValueOfA-1234567\nB=OtherValueOfB-7654321\n"));
	assert_true(span_is(policy_secret_placeholder(f->p, 0), "DUMMY_A_A"));
	assert_true(policy_response_length_changes(f->p));
	expect_refused(f, "secrets:\n  A:\n    file: tokens\n    hosts: []\n    placeholder: DUMMY_A_A\n",
	               "A=\"-----BEGIN X-----\\nTq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0Sa\\n-----END X-----\"\n", ":5: A: has several lines, which cannot stand in a header");
}

static void secret__that_cannot_be_used__is_left_out_and_the_others_work(void **state)
{
	static const char yaml[] = "secrets:\n"
	                           "  MISSING: { file: tokens, hosts: [m.example.com] }\n"
	                           "  GOOD: { file: tokens, hosts: [g.example.com] }\n"
	                           "  EMPTY: { file: tokens, hosts: [] }\n"
	                           "  SHORT: { file: tokens, hosts: [] }\n"
	                           "  UNSET: { env: SLAPENIR_TEST_UNSET, hosts: [] }\n"
	                           "  BROKEN: { file: tokens, hosts: [] }\n"
	                           "  LONG: { file: tokens, hosts: [] }\n"
	                           "  NOFILE: { file: absent/tokens, hosts: [] }\n"
	                           "  PREFIXED: { file: tokens, hosts: [], prefix: abc_ }\n"
	                           "  MARKS: { file: tokens, hosts: [] }\n"
	                           "  LAST: { file: tokens, hosts: [g.example.com] }\n";
	struct fixture *f = *state;
	const struct policy *p;
	struct buf tokens = {0};

	assert_int_equal(buf_printf(&tokens, "GOOD=%s\nEMPTY=\nSHORT=1234567\nBROKEN=\"line one\\nline two\"\nPREFIXED=xyz_0123456789\nMARKS=!!!!--------!!!!\nLAST=%s\nLONG=",
	                            PLAIN, GITHUB), 0);
	for (unsigned i = 0; i < 1901; i++)
		assert_int_equal(buf_putc(&tokens, (uint8_t)('a' + i % 26)), 0);
	assert_int_equal(buf_append(&tokens, "\n", 2), 0);
	p = fixture_load(f, yaml, (char *)tokens.p);
	buf_deinit(&tokens);

	assert_int_equal(policy_secret_count(p), 2);
	assert_string_equal(policy_secret_name(p, 0), "GOOD");
	assert_string_equal(policy_secret_name(p, 1), "LAST");
	assert_int_equal(f->r.errors, 0);
	assert_int_equal(f->r.left_out, 9);
	assert_non_null(strstr(f->said, "policy.yaml:2: left out: MISSING: "));
	assert_non_null(strstr(f->said, "policy.yaml:4: left out: EMPTY: its value is empty"));
	assert_non_null(strstr(f->said, "policy.yaml:5: left out: SHORT: "));
	assert_non_null(strstr(f->said, "policy.yaml:6: left out: UNSET: the environment variable is not set"));
	assert_non_null(strstr(f->said, "policy.yaml:7: left out: BROKEN: its value holds a line break"));
	assert_non_null(strstr(f->said, "policy.yaml:8: left out: LONG: its value is longer than 1900 bytes"));
	assert_non_null(strstr(f->said, "policy.yaml:9: left out: NOFILE: "));
	assert_non_null(strstr(f->said, "policy.yaml:10: left out: PREFIXED: its value does not begin with prefix:"));
	assert_non_null(strstr(f->said, "policy.yaml:11: left out: MARKS: its value has too few letters and digits"));
	assert_int_equal(ask(p, "", "m.example.com:443", "GET", "/", false), REFUSAL_NONE); /* the host stays allowed */
	assert_true(grants(p, "", "g.example.com:443", "GET", "/", 1, INJECT_HEADER));
}

static void report__never_holds_a_value(void **state)
{
	static const char yaml[] = "secrets:\n  A: {file: tokens, hosts: []}\n  B: {file: tokens, hosts: []}\n  C: {file: tokens, hosts: [], prefix: zz}\n";
	struct fixture *f = *state;
	struct policy *p = fixture_compile(f, yaml, "A=hunter2hunter2\nB=hunter2hunter2\nC=hunter2hunter2\nhunter2hunter2\n", NULL);

	assert_null(p);
	assert_true(f->r.errors > 0);
	assert_null(strstr(f->said, "hunter2"));
}

static void values__equal_or_weak__are_warned_of(void **state)
{
	static const char yaml[] = "secrets:\n  A: {file: tokens, hosts: []}\n  B: {file: tokens, hosts: []}\n  C: {file: tokens, hosts: [], allow_short: true}\n";
	struct fixture *f = *state;
	const struct policy *p = fixture_load(f, yaml, "A=" PLAIN "\nB=" PLAIN "\nC=83741906\n");

	assert_non_null(strstr(f->said, "policy.yaml:3: warning: B: has the same value as A"));
	assert_non_null(strstr(f->said, "policy.yaml:4: warning: C: is weak"));
	assert_false(policy_secret_weak(p, 0));
	assert_true(policy_secret_weak(p, 2));
	assert_false(span_eq(policy_secret_placeholder(p, 0), policy_secret_placeholder(p, 1)));
}

static void placeholder__looks_like_its_secret_and_outlives_a_rotation(void **state)
{
	static const char yaml[] = "secrets:\n  OPENAI: {file: tokens, hosts: []}\n";
	struct fixture *f = *state;
	struct span first;
	uint8_t generation[8];
	char kept[64];

	fixture_load(f, yaml, "OPENAI=" OPENAI "\n");
	first = policy_secret_placeholder(f->p, 0);
	assert_int_equal(first.len, strlen(OPENAI));
	assert_memory_equal(first.p, "sk-proj-", 8);
	assert_memory_not_equal(first.p, OPENAI, first.len);
	memcpy(kept, first.p, first.len);
	memcpy(generation, policy_generation(f->p), 8);

	fixture_load(f, yaml, "OPENAI=" OPENAI "\n# a comment changes nothing\n");
	assert_memory_equal(policy_generation(f->p), generation, 8);
	fixture_load(f, yaml, "OPENAI=sk-proj-Aa9Bb8Cc7Dd6Ee5Ff4Gg3Hh2Ii1Jj0Kk\n");
	assert_memory_equal(policy_secret_placeholder(f->p, 0).p, kept, strlen(OPENAI));
	assert_memory_not_equal(policy_generation(f->p), generation, 8);
	fixture_load(f, "secrets:\n  OPENAI: {file: tokens, hosts: [a.example.com]}\n", "OPENAI=" OPENAI "\n");
	assert_memory_not_equal(policy_generation(f->p), generation, 8);
	f->key[0]++;
	fixture_load(f, yaml, "OPENAI=" OPENAI "\n");
	assert_memory_not_equal(policy_generation(f->p), generation, 8);
	assert_memory_not_equal(policy_secret_placeholder(f->p, 0).p, kept, strlen(OPENAI));
}

static void pem__with_windows_line_ends__is_taken_with_plain_ones(void **state)
{
	static const char yaml[] = "secrets:\n  KEY: {file: tokens, hosts: [], inject: [body]}\n";
	struct fixture *f = *state;
	struct span made;

	fixture_load(f, yaml, "KEY=\"-----BEGIN X-----\\nTq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0Sa\\n-----END X-----\"\n");
	assert_int_equal(f->r.left_out, 0);
	made = policy_secret_placeholder(f->p, 0);
	assert_int_equal(made.len, strlen("-----BEGIN X-----\nTq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0Sa\n-----END X-----"));
	assert_memory_equal(made.p, "-----BEGIN X-----\n", 18);
	assert_null(memmem(made.p, made.len, PLAIN, strlen(PLAIN)));
}

static void reload__keeps_old_values_for_grace_and_env_values_for_good(void **state)
{
	static const char yaml[] = "grace: 1h\nsecrets:\n  GONE: {file: tokens, hosts: [a.example.com]}\n  TURNED: {file: tokens, hosts: [a.example.com], placeholder: DUMMY_TURNED}\n"
	                           "  FROM_ENV: {env: SLAPENIR_TEST_VALUE, hosts: [a.example.com]}\n";
	static const char later[] = "grace: 1h\nsecrets:\n  TURNED: {file: tokens, hosts: [a.example.com], placeholder: DUMMY_TURNED}\n"
	                            "  FROM_ENV: {env: SLAPENIR_TEST_VALUE, hosts: [a.example.com]}\n";
	struct fixture *f = *state;
	struct policy_options o = {0};
	struct policy *next, *fresh;
	unsigned old_gone = 0, old_turned = 0;

	setenv("SLAPENIR_TEST_VALUE", "Ev4lueFromTheEnvironment0123456789", 1);
	fixture_load(f, yaml, "GONE=" GITHUB "\nTURNED=" PLAIN "\n");
	assert_int_equal(policy_grace_ends_ms(f->p), 0);
	unsetenv("SLAPENIR_TEST_VALUE");
	o.previous = f->p;
	next = fixture_compile(f, later, "TURNED=Aq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0SZ\n", &o);
	assert_non_null(next);
	assert_int_equal(policy_secret_count(next), 2);
	assert_int_not_equal(policy_grace_ends_ms(next), 0);
	assert_int_equal(rewriter_entries(policy_rewriter(next)), 4);
	for (unsigned i = 2; i < 4; i++) {
		const struct rewrite_entry *e = rewriter_entry(policy_rewriter(next), i);

		old_gone += span_is(e->value, GITHUB) && strcmp(policy_secret_name(next, i), "GONE") == 0;
		old_turned += span_is(e->value, PLAIN) && span_is(e->given, "DUMMY_TURNED");
		assert_false(grants(next, "", "a.example.com:443", "GET", "/", i, INJECT_HEADER));
		assert_false(policy_agent_may_use(next, span_str("any"), i));
	}
	assert_int_equal(old_gone + old_turned, 2);
	assert_true(span_is(rewriter_entry(policy_rewriter(next), 1)->value, "Ev4lueFromTheEnvironment0123456789"));
	policy_free(f->p);
	f->p = next;

	/* the same id as on an instance that never knew the old values */
	setenv("SLAPENIR_TEST_VALUE", "Ev4lueFromTheEnvironment0123456789", 1);
	fresh = fixture_compile(f, later, "TURNED=Aq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0SZ\n", NULL);
	assert_memory_equal(policy_generation(fresh), policy_generation(next), 8);
	policy_free(fresh);

	/* a value that comes back is no old value any more; without grace none is kept */
	o.previous = next;
	fresh = fixture_compile(f, later, "TURNED=" PLAIN "\n", &o);
	assert_int_equal(rewriter_entries(policy_rewriter(fresh)), 4);
	policy_free(fresh);
	fresh = fixture_compile(f, "grace: 0s\nsecrets: {}\n", "", &o);
	assert_int_equal(policy_secret_count(fresh), 0);
	for (unsigned i = 0; i < rewriter_entries(policy_rewriter(fresh)); i++) /* those whose time had begun keep it */
		assert_true(span_is(rewriter_entry(policy_rewriter(fresh), i)->value, GITHUB) ||
		            span_is(rewriter_entry(policy_rewriter(fresh), i)->value, PLAIN));
	policy_free(fresh);
	unsetenv("SLAPENIR_TEST_VALUE");
}

static void canary__is_its_own_agents_alone(void **state)
{
	struct fixture *f = *state;
	const struct policy_options o = {.canary = true, .canary_value = (const uint8_t *)"0123456789abcdefGHIJKLMNOPQRSTUV"};
	const char *agent = POLICY_CANARY_AGENT, *host = POLICY_CANARY_HOST;
	const struct policy *p = f->p = fixture_compile(f, rich, TOKENS, &o);
	const struct rewrite_entry *e;

	assert_non_null(p);
	assert_int_equal(policy_secret_count(p), 3);
	assert_string_equal(policy_secret_name(p, 3), POLICY_CANARY_NAME);
	e = rewriter_entry(policy_rewriter(p), 3);
	assert_true(span_is(e->value, "slapenir-canary-0123456789abcdef"));
	assert_true(span_is(e->made, POLICY_CANARY_PLACEHOLDER));
	assert_int_equal(ask(p, agent, host, "GET", "/", false), REFUSAL_NONE);
	assert_int_equal(ask(p, "other", host, "GET", "/", false), REFUSAL_HOST_DENIED);
	assert_int_equal(policy_connect(p, span_str(agent), span_str(host)), REFUSAL_HOST_DENIED);
	assert_true(grants(p, agent, host, "GET", "/", 3, INJECT_HEADER));
	assert_false(grants(p, agent, host, "GET", "/", 0, INJECT_HEADER));
	assert_false(grants(p, "other", host, "GET", "/", 3, INJECT_HEADER));
	assert_false(grants(p, agent, "api.openai.com:443", "GET", "/v1/", 3, INJECT_HEADER));
	assert_true(policy_secret_takes_header(p, 3, span_str("authorization")));
	for (size_t i = 0; i < policy_host_count(p); i++)
		assert_null(strstr(policy_host_get(p, i)->name, "canary"));
}

static void hosts__for_haproxy__are_merged_with_their_settings(void **state)
{
	static const struct {
		const char *name;
		bool http, ranges;
	} wanted[] = {
		{"*.example.org:443", false, false}, {"*.openai.example.com:443", false, false}, {"api.github.com:443", false, false},
		{"api.openai.com:443", false, false}, {"docs.python.org:443", false, false}, {"eu.openai.example.com:443", false, false},
		{"github.com:8443", false, false}, {"own.example.org:443", false, false}, {"web.example.net:443", false, true},
		{"web.example.net:80", true, true}, {"web.example.net:8080", true, false},
	};
	struct fixture *f = *state;
	const struct policy *p = fixture_load(f, rich, TOKENS);
	char ca[96];

	assert_int_equal(policy_host_count(p), sizeof(wanted) / sizeof(wanted[0]));
	for (size_t i = 0; i < policy_host_count(p); i++) {
		assert_string_equal(policy_host_get(p, i)->name, wanted[i].name);
		assert_int_equal(policy_host_get(p, i)->http, wanted[i].http);
		assert_int_equal(policy_host_get(p, i)->ranges, wanted[i].ranges);
	}
	snprintf(ca, sizeof(ca), "%s/tests/ca.crt", f->dir);
	assert_string_equal(policy_host_get(p, 5)->ca, ca);
	assert_string_equal(policy_host_get(p, 5)->connect, "127.0.0.1:9444");
	assert_null(policy_host_get(p, 4)->ca);
	assert_int_equal(policy_host_get(p, 4)->line, 15);
}

static void rule__of_a_refusal__has_its_line(void **state)
{
	struct fixture *f = *state;
	const struct policy *p = fixture_load(f, rich, TOKENS);
	struct policy_request q = {span_str(""), span_str("docs.python.org:443"), span_str("PUT"), span_str("/3/"), false};
	struct buf out = {0};

	assert_int_equal(policy_rule(p, &q, REFUSAL_METHOD_DENIED, &out), 0);
	assert_true(span_is(buf_span(&out), "hosts: docs.python.org:443: methods (line 15)"));
	buf_reset(&out);
	assert_int_equal(policy_rule(p, &q, REFUSAL_TRIPWIRE, &out), 0);
	assert_int_equal(out.len, 0);
	q.host = span_str("nowhere.test:443");
	assert_int_equal(policy_rule(p, &q, REFUSAL_HOST_DENIED, &out), 0);
	assert_true(span_is(buf_span(&out), "hosts"));
	buf_deinit(&out);
}

static void put_many(struct buf *yaml, struct buf *tokens, unsigned rules)
{
	yaml->len = tokens->len = 0;
	assert_int_equal(buf_printf(yaml, "secrets:\n"), 0);
	for (unsigned i = 0; i < rules; i++) {
		assert_int_equal(buf_printf(yaml, "  S%u: {file: tokens, hosts: [\"*.example.com\", h%u.example.com], paths: [/p%u/]}\n", i, i % 50, i), 0);
		assert_int_equal(buf_printf(tokens, "S%u=Vq%uZb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc\n", i, 100000 + i), 0);
	}
	assert_int_equal(buf_putc(yaml, 0), 0);
	assert_int_equal(buf_putc(tokens, 0), 0);
}

static void rules__as_many_as_a_grant_holds__work_and_one_more_is_refused(void **state)
{
	struct fixture *f = *state;
	struct buf yaml = {0}, tokens = {0};
	const unsigned last = POLICY_RULES_MAX - 1;
	char path[32];

	put_many(&yaml, &tokens, POLICY_RULES_MAX);
	fixture_load(f, (char *)yaml.p, (char *)tokens.p);
	snprintf(path, sizeof(path), "/p%u/x", last);
	assert_true(grants(f->p, "", "any.example.com:443", "GET", path, last, INJECT_HEADER));
	assert_true(grants(f->p, "", "h7.example.com:443", "GET", path, last, INJECT_HEADER));
	assert_false(grants(f->p, "", "any.example.com:443", "GET", path, last - 1, INJECT_HEADER));
	put_many(&yaml, &tokens, POLICY_RULES_MAX + 1);
	expect_refused(f, (char *)yaml.p, (char *)tokens.p, "secrets have 2049 different combinations of methods: and paths:, at most 2048 are possible");
	buf_deinit(&yaml);
	buf_deinit(&tokens);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(host__by_name_port_and_scheme__is_allowed_or_says_why_not),
		TEST(method_and_path__of_a_host__decide_the_request),
		TEST(secret__is_granted_only_where_everything_fits),
		TEST(grant__of_other_bytes__is_refused),
		TEST(headers__built_in_and_named__are_credentials),
		TEST(agents__listed__have_what_their_lines_say),
		TEST(agents__absent__everybody_may_use_all),
		TEST(policy__that_contradicts_itself__is_refused),
		TEST(given_placeholder__that_meets_another__is_refused),
		TEST(secret__that_cannot_be_used__is_left_out_and_the_others_work),
		TEST(report__never_holds_a_value),
		TEST(values__equal_or_weak__are_warned_of),
		TEST(placeholder__looks_like_its_secret_and_outlives_a_rotation),
		TEST(pem__with_windows_line_ends__is_taken_with_plain_ones),
		TEST(reload__keeps_old_values_for_grace_and_env_values_for_good),
		TEST(canary__is_its_own_agents_alone),
		TEST(hosts__for_haproxy__are_merged_with_their_settings),
		TEST(rule__of_a_refusal__has_its_line),
		TEST(rules__as_many_as_a_grant_holds__work_and_one_more_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
