/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "judge.h"

void judge_init(struct judge *j, const struct policy *p, enum rewrite_direction direction, struct span agent)
{
	*j = (struct judge){.policy = p, .direction = direction, .agent = agent, .tripped = JUDGE_NOT_TRIPPED};
}

/* A field's value ends at a line break, so a secret that has one goes into no header: it would begin a field of its own. */
static bool fits_header(struct span value)
{
	return !memchr(value.p, '\r', value.len) && !memchr(value.p, '\n', value.len) && !memchr(value.p, '\0', value.len);
}

static bool may_go(const struct judge *j, unsigned entry)
{
	if (!j->grant || !j->place || !policy_grants(j->policy, j->grant, entry, (enum policy_inject)j->place))
		return false;
	if (j->place != INJECT_HEADER)
		return true;
	return policy_secret_takes_header(j->policy, entry, j->field) &&
	       fits_header(rewriter_entry(policy_rewriter(j->policy), entry)->value);
}

static bool is_wanted(const struct judge *j, unsigned entry)
{
	return j->direction == REWRITE_RESPONSE ? policy_agent_may_use(j->policy, j->agent, entry) : may_go(j, entry);
}

enum rewrite_verdict judge_match(void *ctx, enum rewrite_match match, unsigned *entry)
{
	struct judge *j = ctx;
	unsigned at = *entry;

	if (j->direction == REWRITE_REQUEST && match == MATCH_SECRET) {
		j->tripped = (int)at;
		return REWRITE_STOP;
	}
	for (;;) {
		unsigned next = rewriter_next_same(policy_rewriter(j->policy), match, at);

		if (is_wanted(j, at)) {
			*entry = at;
			j->replaced++;
			return REWRITE_REPLACE;
		}
		if (next == at)
			break;
		at = next;
	}
	/* a response hides the secret all the same, behind the first name */
	return j->direction == REWRITE_RESPONSE ? REWRITE_REPLACE : REWRITE_KEEP;
}
