/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "token_formats.h"

static const char *const token_prefixes[] = {
	/* model providers */
	"sk-", "sk-proj-", "sk-svcacct-", "sk-admin-", "sess-", "sk-ant-", "sk-ant-api03-", "sk-ant-admin01-", "sk-ant-oat01-",
	"sk-ant-ort01-", "sk-or-", "sk-or-v1-", "AIza", "hf_", "api_org_", "r8_", "gsk_", "pplx-", "xai-", "fw_", "fireworks_",
	"nvapi-", "tgp_v1_", "jina_", "tvly-", "fc-", "pcsk_", "lsv2_pt_", "lsv2_sk_", "sk-lf-", "pk-lf-", "csk-", "esecret_",
	/* code hosting and continuous integration */
	"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-",
	"glagent-", "glsoat-", "gloas-", "GR1348941", "ATATT3xFfGF0", "ATCTT3xFfGN0", "ATBB", "BBDC-", "CCIPAT_", "CCIPRJ_",
	"bkua_", "sgp_", "sonp_", "sqp_", "squ_", "sqa_",
	/* package hosts */
	"npm_", "pypi-", "pypi-AgEIcHlwaS5vcmc", "rubygems_", "cio", "oy2", "dckr_pat_", "dckr_oat_",
	/* clouds and hosting */
	"AKIA", "ASIA", "ABSK", "ya29.", "1//0", "GOCSPX-", "dop_v1_", "doo_v1_", "dor_v1_", "FlyV1 ", "fo1_", "fm2_", "HRKU-",
	"LTAI", "AKID", "nfp_", "vercel_blob_rw_", "rnd_", "sbp_", "sb_secret_", "sb_publishable_", "pscale_tkn_", "pscale_pw_",
	"pscale_oauth_", "tskey-", "tskey-auth-", "tskey-api-", "hvs.", "hvb.", "hvr.", "dp.pt.", "dp.st.", "dp.ct.", "dp.sa.",
	"pul-", "ops_", "AGE-SECRET-KEY-1", "scw-",
	/* chat, mail and support */
	"xoxb-", "xoxp-", "xoxa-", "xoxa-2-", "xoxr-", "xoxs-", "xoxe-", "xoxe.xoxp-", "xapp-", "xwfp-", "SG.", "xkeysib-",
	"xsmtpsib-", "key-", "re_", "pm_", "SK", "AC", "EAACEdEose0cBA", "EAAG", "IGQ", "ntn_", "secret_", "figd_", "figu_",
	"lin_api_", "lin_oauth_", "shpat_", "shpca_", "shppa_", "shpss_", "pat-na1-", "pat-eu1-", "phc_", "phx_", "PMAK-",
	"dt0c01.", "glsa_", "glc_", "NRAK-", "NRJS-", "NRII-", "NRIQ-", "sntrys_", "sntryu_", "rpa_", "CFPAT-", "pat", "tfp_",
	"ubdt_", "SCIM_", "00D",
	/* payment */
	"sk_live_", "sk_test_", "rk_live_", "rk_test_", "pk_live_", "pk_test_", "whsec_", "sq0atp-", "sq0csp-", "sq0idp-", "EAAA",
	"access_token$production$", "access_token$sandbox$", "live_", "test_", "duffel_live_", "duffel_test_", "FLWSECK-",
	"FLWSECK_TEST-", "shippo_live_", "shippo_test_", "EZAK", "EZTK",
	/* general */
	"eyJ", "eyJhbGciOi",
};

size_t token_prefix_length(struct span value)
{
	size_t best = 0;

	for (size_t i = 0; i < sizeof(token_prefixes) / sizeof(token_prefixes[0]); i++) {
		size_t len = strlen(token_prefixes[i]);

		if (len > best && len < value.len && memcmp(value.p, token_prefixes[i], len) == 0)
			best = len;
	}
	return best;
}
