/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * filter slapenir request-engine NAME response-engine NAME [shapes FILE] [canary HOST:PORT]
 */
#include "filter.h"

#include <errno.h>
#include <fcntl.h>

const char slapenir_id[] = "slapenir filter";

/* Groups of each engine in spoe.conf. */
static const char *const exchange_group[2] = {"request", "response"};
static const char end_group[] = "end";

static int set_shapes(struct slapenir_conf *conf, const char *path, char **err)
{
	const char *slash = strrchr(path, '/');
	char *dir;

	if (!slash || !slash[1]) {
		memprintf(err, "shapes: '%s' is no absolute path of a file", path);
		return -1;
	}
	dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	conf->shapes_name = strdup(slash + 1);
	if (!dir || !conf->shapes_name) {
		free(dir);
		memprintf(err, "out of memory");
		return -1;
	}
	/* now, because later the process has changed its root and its user */
	conf->shapes_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (conf->shapes_dir < 0)
		memprintf(err, "shapes: cannot open directory '%s': %s; `slapenir render` makes it", dir, strerror(errno));
	free(dir);
	return conf->shapes_dir < 0 ? -1 : 0;
}

static int set_word(char **to, const char *name, const char *word, char **err)
{
	if (*to) {
		memprintf(err, "'%s' is given twice", name);
		return -1;
	}
	*to = strdup(word);
	return *to ? 0 : -1;
}

static void conf_free(struct slapenir_conf *conf)
{
	if (!conf)
		return;
	for (int dir = REQ; dir <= RES; dir++) {
		free(conf->engine[dir]);
		free(conf->exchange[dir]);
		free(conf->end[dir]);
	}
	for (int i = 0; conf->shapes && i < global.nbthread; i++)
		shapes_free(conf->shapes[i]);
	free(conf->shapes);
	free(conf->shapes_name);
	if (conf->shapes_dir >= 0)
		close(conf->shapes_dir);
	free(conf->canary);
	free(conf);
}

static int parse_option(struct slapenir_conf *conf, const char *name, const char *value, char **err)
{
	if (!*value) {
		memprintf(err, "'%s' wants a value", name);
		return -1;
	}
	if (strcmp(name, "request-engine") == 0)
		return set_word(&conf->engine[REQ], name, value, err);
	if (strcmp(name, "response-engine") == 0)
		return set_word(&conf->engine[RES], name, value, err);
	if (strcmp(name, "canary") == 0)
		return set_word(&conf->canary, name, value, err);
	if (strcmp(name, "shapes") == 0 && !conf->shapes_name)
		return set_shapes(conf, value, err);
	memprintf(err, "unexpected '%s'; known are request-engine, response-engine, shapes and canary, each once", name);
	return -1;
}

int conf_parse(char **args, int *cur, struct proxy *px, struct flt_conf *fconf, char **err, void *private)
{
	struct slapenir_conf *conf;
	int pos = *cur + 1;

	(void)private;
	conf = calloc(1, sizeof(*conf));
	if (!conf) {
		memprintf(err, "out of memory");
		return -1;
	}
	conf->px = px;
	conf->shapes_dir = -1;
	if (px->mode != PR_MODE_HTTP) {
		memprintf(err, "proxy '%s' is not in HTTP mode", px->id);
		goto fail;
	}
	for (; *args[pos]; pos += 2)
		if (parse_option(conf, args[pos], args[pos + 1], err) < 0)
			goto fail;
	if (!conf->engine[REQ] || !conf->engine[RES]) {
		memprintf(err, "request-engine and response-engine are needed");
		goto fail;
	}
	/* One engine serves one exchange of a stream at a time: the two directions would wait for each other. */
	if (strcmp(conf->engine[REQ], conf->engine[RES]) == 0) {
		memprintf(err, "request-engine and response-engine must be two engines");
		goto fail;
	}
	*cur = pos;
	fconf->id = slapenir_id;
	fconf->conf = conf;
	fconf->ops = &slapenir_ops;
	/* without it HAProxy attaches the filter to no HTTP stream, and everything passes raw */
	fconf->flags |= FLT_CFG_FL_HTX;
	return 0;
fail:
	conf_free(conf);
	return -1;
}

/* The rule that `http-request send-spoe-group ENGINE GROUP` would make, for calls of our own. */
static struct act_rule *make_rule(struct proxy *px, const char *engine, const char *group, int dir, char **err)
{
	const char *args[] = {engine, group, "", "", ""};
	struct action_kw *kw;
	struct act_rule *rule;
	int cur = 0;

	kw = dir == REQ ? action_http_req_custom("send-spoe-group") : action_http_res_custom("send-spoe-group");
	rule = calloc(1, sizeof(*rule));
	if (!kw || !rule) {
		memprintf(err, kw ? "out of memory" : "this HAProxy has no action send-spoe-group");
		free(rule);
		return NULL;
	}
	rule->from = dir == REQ ? ACT_F_HTTP_REQ : ACT_F_HTTP_RES;
	rule->kw = kw;
	rule->conf.file = (char *)"filter slapenir";
	rule->conf.line = px->conf.line;
	if (kw->parse(args, &cur, px, rule, err) != ACT_RET_PRS_OK || !rule->action_ptr ||
	    (rule->check_ptr && !rule->check_ptr(rule, px, err))) {
		free(rule);
		return NULL;
	}
	return rule;
}

int conf_check(struct proxy *px, struct flt_conf *fconf)
{
	struct slapenir_conf *conf = fconf->conf;
	char *err = NULL;

	for (int dir = REQ; dir <= RES; dir++) {
		conf->exchange[dir] = make_rule(px, conf->engine[dir], exchange_group[dir], dir, &err);
		if (conf->exchange[dir])
			conf->end[dir] = make_rule(px, conf->engine[dir], end_group, dir, &err);
		if (!conf->end[dir])
			goto fail;
	}
	if (!conf->shapes_name)
		return 0;
	conf->shapes = calloc((size_t)global.nbthread, sizeof(*conf->shapes));
	for (int i = 0; conf->shapes && i < global.nbthread; i++) {
		conf->shapes[i] = shapes_new(conf->shapes_name, conf->shapes_dir);
		if (!conf->shapes[i])
			goto no_memory;
	}
	if (conf->shapes)
		return 0;
no_memory:
	memprintf(&err, "out of memory");
fail:
	ha_alert("proxy '%s': filter slapenir: %s.\n", px->id, err ? err : "engine or group is not to be had");
	free(err);
	return 1;
}

void conf_deinit(struct proxy *px, struct flt_conf *fconf)
{
	(void)px;
	conf_free(fconf->conf);
	fconf->conf = NULL;
}
