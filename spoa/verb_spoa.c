/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "master.h"
#include "state.h"
#include "verbs.h"

enum { WORKERS_DEFAULT = 2 };

static const struct option options[] = {
	{"policy", required_argument, NULL, 'p'},   {"state", required_argument, NULL, 's'},  {"listen", required_argument, NULL, 'l'},
	{"workers", required_argument, NULL, 'w'},  {"key", required_argument, NULL, 'k'},    {"shapes", required_argument, NULL, 'S'},
	{"tls-cert", required_argument, NULL, 'C'}, {"tls-key", required_argument, NULL, 'K'}, {"tls-ca", required_argument, NULL, 'A'},
	{"tls-peer", required_argument, NULL, 'P'}, {0},
};

static int usage(const char *problem)
{
	if (problem)
		fprintf(stderr, "slapenir spoa: %s\n", problem);
	fprintf(stderr, "usage: slapenir spoa --policy FILE [--state DIR] [--listen unix:PATH or tcp:HOST:PORT]... [--workers N]\n"
	                "                     [--key FILE] [--shapes FILE]\n"
	                "                     [--tls-cert FILE --tls-key FILE --tls-ca FILE --tls-peer NAME]\n");
	return 2;
}

static int parse_workers(const char *text, unsigned *workers)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < 1 || n > MASTER_WORKERS_MAX)
		return -1;
	*workers = (unsigned)n;
	return 0;
}

/* NULL, or what is wrong. */
static const char *parse(struct master_options *o, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'p': o->policy = optarg; break;
		case 's': o->state = optarg; break;
		case 'k': o->key = optarg; break;
		case 'S': o->shapes = optarg; break;
		case 'C': o->tls.cert = optarg; break;
		case 'K': o->tls.key = optarg; break;
		case 'A': o->tls.ca = optarg; break;
		case 'P': o->tls.peer = optarg; break;
		case 'l':
			if (o->listen_count == MASTER_LISTEN_MAX)
				return "too many --listen";
			o->listen[o->listen_count++] = optarg;
			break;
		case 'w':
			if (parse_workers(optarg, &o->workers) < 0)
				return "--workers takes a number from 1 to 64";
			break;
		default:
			return "";
		}
	}
	if (optind < argc)
		return "takes no arguments but its options";
	if (!o->policy)
		return "--policy is missing";
	if ((o->tls.cert || o->tls.key || o->tls.ca || o->tls.peer) && !(o->tls.cert && o->tls.key && o->tls.ca && o->tls.peer))
		return "--tls-cert, --tls-key, --tls-ca and --tls-peer belong together";
	return NULL;
}

int verb_spoa(int argc, char **argv)
{
	struct master_options o = {.workers = WORKERS_DEFAULT};
	const char *problem = parse(&o, argc, argv);
	char state[PATH_MAX];

	if (problem)
		return usage(*problem ? problem : NULL);
	if (state_default(state, sizeof(state), o.state) < 0) {
		fprintf(stderr, "slapenir spoa: no usable state directory; give --state DIR\n");
		return 1;
	}
	o.state = state;
	return master_run(&o);
}
