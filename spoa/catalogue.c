/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "catalogue.h"

#include <stdbool.h>

#define SENT CATALOGUE_SENT
#define SIGNS CATALOGUE_SIGNS
#define REGISTRY CATALOGUE_REGISTRY

/* A prefix that several providers use (sk-) stands at none of them. */
static const struct catalogue_entry entries[] = {
	/* models */
	{"OpenAI", "OPENAI_API_KEY OPENAI_KEY OPENAI_ADMIN_KEY", "sk-proj-", "api.openai.com", NULL, NULL, SENT},
	{"Anthropic", "ANTHROPIC_API_KEY CLAUDE_API_KEY ANTHROPIC_AUTH_TOKEN CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-", "api.anthropic.com", NULL, NULL, SENT},
	{"Google AI", "GEMINI_API_KEY GOOGLE_API_KEY GOOGLE_GENERATIVE_AI_API_KEY", "AIza", "generativelanguage.googleapis.com", "header, query", NULL, SENT},
	{"Azure OpenAI", "AZURE_OPENAI_API_KEY AZURE_OPENAI_KEY", NULL, "*.openai.azure.com", NULL, NULL, SENT},
	{"Hugging Face", "HF_TOKEN HUGGINGFACE_TOKEN HUGGING_FACE_HUB_TOKEN HUGGINGFACEHUB_API_TOKEN", "hf_", "huggingface.co router.huggingface.co", NULL, NULL, SENT},
	{"Mistral", "MISTRAL_API_KEY", NULL, "api.mistral.ai", NULL, NULL, SENT},
	{"Cohere", "COHERE_API_KEY CO_API_KEY", NULL, "api.cohere.com api.cohere.ai", NULL, NULL, SENT},
	{"Groq", "GROQ_API_KEY", "gsk_", "api.groq.com", NULL, NULL, SENT},
	{"OpenRouter", "OPENROUTER_API_KEY", "sk-or-", "openrouter.ai", NULL, NULL, SENT},
	{"DeepSeek", "DEEPSEEK_API_KEY", NULL, "api.deepseek.com", NULL, NULL, SENT},
	{"xAI", "XAI_API_KEY GROK_API_KEY", "xai-", "api.x.ai", NULL, NULL, SENT},
	{"Perplexity", "PERPLEXITY_API_KEY PPLX_API_KEY", "pplx-", "api.perplexity.ai", NULL, NULL, SENT},
	{"Together", "TOGETHER_API_KEY TOGETHERAI_API_KEY", "tgp_v1_", "api.together.xyz", NULL, NULL, SENT},
	{"Fireworks", "FIREWORKS_API_KEY", "fw_", "api.fireworks.ai", NULL, NULL, SENT},
	{"Replicate", "REPLICATE_API_TOKEN REPLICATE_API_KEY", "r8_", "api.replicate.com", NULL, NULL, SENT},
	{"NVIDIA", "NVIDIA_API_KEY", "nvapi-", "integrate.api.nvidia.com", NULL, NULL, SENT},
	{"Cerebras", "CEREBRAS_API_KEY", "csk-", "api.cerebras.ai", NULL, NULL, SENT},
	{"Voyage AI", "VOYAGE_API_KEY", NULL, "api.voyageai.com", NULL, NULL, SENT},
	{"Jina AI", "JINA_API_KEY", "jina_", "api.jina.ai r.jina.ai s.jina.ai", NULL, NULL, SENT},
	{"ElevenLabs", "ELEVENLABS_API_KEY ELEVEN_API_KEY", NULL, "api.elevenlabs.io", NULL, "Xi-Api-Key", SENT},
	{"Deepgram", "DEEPGRAM_API_KEY", NULL, "api.deepgram.com", NULL, NULL, SENT},
	{"AssemblyAI", "ASSEMBLYAI_API_KEY", NULL, "api.assemblyai.com", NULL, NULL, SENT},
	{"Pinecone", "PINECONE_API_KEY", "pcsk_", "api.pinecone.io", NULL, NULL, SENT},
	{"LangSmith", "LANGSMITH_API_KEY LANGCHAIN_API_KEY", "lsv2_", "api.smith.langchain.com", NULL, NULL, SENT},
	{"Weights & Biases", "WANDB_API_KEY", NULL, "api.wandb.ai", NULL, NULL, SENT},
	/* search and reading */
	{"Tavily", "TAVILY_API_KEY", "tvly-", "api.tavily.com", "header, body", NULL, SENT},
	{"Brave Search", "BRAVE_API_KEY BRAVE_SEARCH_API_KEY", NULL, "api.search.brave.com", NULL, "X-Subscription-Token", SENT},
	{"SerpApi", "SERPAPI_API_KEY SERPAPI_KEY", NULL, "serpapi.com", "query", NULL, SENT},
	{"Serper", "SERPER_API_KEY", NULL, "google.serper.dev", NULL, NULL, SENT},
	{"Exa", "EXA_API_KEY", NULL, "api.exa.ai", NULL, NULL, SENT},
	{"Firecrawl", "FIRECRAWL_API_KEY", "fc-", "api.firecrawl.dev", NULL, NULL, SENT},
	/* code and delivery */
	{"GitHub", "GITHUB_TOKEN GH_TOKEN GITHUB_PAT GITHUB_PERSONAL_ACCESS_TOKEN GITHUB_API_TOKEN", "ghp_", "api.github.com github.com uploads.github.com", NULL, NULL, SENT},
	{"GitHub", "GITHUB_FINE_GRAINED_TOKEN", "github_pat_", "api.github.com github.com uploads.github.com", NULL, NULL, SENT},
	{"GitLab", "GITLAB_TOKEN GITLAB_API_TOKEN GITLAB_PRIVATE_TOKEN GITLAB_ACCESS_TOKEN", "glpat-", "gitlab.com", NULL, NULL, SENT},
	{"Bitbucket", "BITBUCKET_TOKEN BITBUCKET_ACCESS_TOKEN BITBUCKET_APP_PASSWORD", "ATBB", "api.bitbucket.org bitbucket.org", NULL, NULL, SENT},
	{"Atlassian", "ATLASSIAN_API_TOKEN JIRA_API_TOKEN JIRA_TOKEN CONFLUENCE_API_TOKEN", "ATATT3xFfGF0", "*.atlassian.net", NULL, NULL, SENT},
	{"Linear", "LINEAR_API_KEY", "lin_api_", "api.linear.app", NULL, NULL, SENT},
	{"CircleCI", "CIRCLECI_TOKEN CIRCLE_TOKEN", "CCIPAT_", "circleci.com", NULL, "Circle-Token", SENT},
	{"Sentry", "SENTRY_AUTH_TOKEN", "sntrys_", "sentry.io", NULL, NULL, SENT},
	{"npm", "NPM_TOKEN NODE_AUTH_TOKEN", "npm_", "npm", NULL, NULL, REGISTRY},
	{"PyPI", "PYPI_TOKEN PYPI_API_TOKEN TWINE_PASSWORD UV_PUBLISH_TOKEN", "pypi-", "pip", NULL, NULL, REGISTRY},
	{"Cargo", "CARGO_REGISTRY_TOKEN", NULL, "cargo", NULL, NULL, REGISTRY},
	{"RubyGems", "GEM_HOST_API_KEY RUBYGEMS_API_KEY", "rubygems_", "gem", NULL, NULL, REGISTRY},
	{"container registry", "DOCKERHUB_TOKEN DOCKER_TOKEN DOCKER_PASSWORD", "dckr_pat_", "docker", NULL, NULL, REGISTRY},
	/* clouds */
	{"AWS", "AWS_SECRET_ACCESS_KEY", NULL, "", NULL, NULL, SIGNS},
	{"AWS", "AWS_SESSION_TOKEN", NULL, "", NULL, NULL, SIGNS},
	{"Azure", "AZURE_CLIENT_SECRET", NULL, "login.microsoftonline.com", "body", NULL, SENT},
	{"Azure Storage", "AZURE_STORAGE_KEY AZURE_STORAGE_CONNECTION_STRING", NULL, "", NULL, NULL, SIGNS},
	{"Google Cloud", "GOOGLE_OAUTH_ACCESS_TOKEN CLOUDSDK_AUTH_ACCESS_TOKEN", "ya29.", "*.googleapis.com", NULL, NULL, SENT},
	{"Cloudflare", "CLOUDFLARE_API_TOKEN CF_API_TOKEN", NULL, "api.cloudflare.com", NULL, NULL, SENT},
	{"Cloudflare", "CLOUDFLARE_API_KEY CF_API_KEY", NULL, "api.cloudflare.com", NULL, "X-Auth-Key", SENT},
	{"DigitalOcean", "DIGITALOCEAN_TOKEN DIGITALOCEAN_ACCESS_TOKEN DO_TOKEN", "dop_v1_", "api.digitalocean.com", NULL, NULL, SENT},
	{"Heroku", "HEROKU_API_KEY", "HRKU-", "api.heroku.com", NULL, NULL, SENT},
	{"Vercel", "VERCEL_TOKEN", NULL, "api.vercel.com", NULL, NULL, SENT},
	{"Netlify", "NETLIFY_AUTH_TOKEN", "nfp_", "api.netlify.com", NULL, NULL, SENT},
	{"Fly.io", "FLY_API_TOKEN FLY_ACCESS_TOKEN", "fo1_", "api.machines.dev api.fly.io", NULL, NULL, SENT},
	{"Supabase", "SUPABASE_ACCESS_TOKEN", "sbp_", "api.supabase.com", NULL, NULL, SENT},
	{"Supabase", "SUPABASE_SERVICE_ROLE_KEY SUPABASE_KEY", "sb_secret_", "*.supabase.co", NULL, "Apikey", SENT},
	{"Databricks", "DATABRICKS_TOKEN", "dapi", "*.cloud.databricks.com", NULL, NULL, SENT},
	{"Grafana", "GRAFANA_TOKEN GRAFANA_API_KEY", "glsa_", "*.grafana.net", NULL, NULL, SENT},
	{"Datadog", "DD_API_KEY DATADOG_API_KEY", NULL, "api.datadoghq.com", NULL, "Dd-Api-Key", SENT},
	{"Datadog", "DD_APP_KEY DATADOG_APP_KEY DD_APPLICATION_KEY", NULL, "api.datadoghq.com", NULL, "Dd-Application-Key", SENT},
	{"New Relic", "NEW_RELIC_API_KEY", "NRAK-", "api.newrelic.com", NULL, NULL, SENT},
	/* chat, mail, work */
	{"Slack", "SLACK_BOT_TOKEN SLACK_TOKEN", "xoxb-", "slack.com", NULL, NULL, SENT},
	{"Slack", "SLACK_USER_TOKEN", "xoxp-", "slack.com", NULL, NULL, SENT},
	{"Slack", "SLACK_APP_TOKEN", "xapp-", "slack.com", NULL, NULL, SENT},
	{"Slack", "SLACK_WEBHOOK_SECRET SLACK_SIGNING_SECRET", NULL, "", NULL, NULL, SIGNS},
	{"Discord", "DISCORD_TOKEN DISCORD_BOT_TOKEN", NULL, "discord.com", NULL, NULL, SENT},
	{"Telegram", "TELEGRAM_BOT_TOKEN TELEGRAM_TOKEN", NULL, "api.telegram.org", "path", NULL, SENT},
	{"SendGrid", "SENDGRID_API_KEY", "SG.", "api.sendgrid.com", NULL, NULL, SENT},
	{"Mailgun", "MAILGUN_API_KEY", NULL, "api.mailgun.net", NULL, NULL, SENT},
	{"Postmark", "POSTMARK_API_TOKEN POSTMARK_SERVER_TOKEN", NULL, "api.postmarkapp.com", NULL, "X-Postmark-Server-Token", SENT},
	{"Resend", "RESEND_API_KEY", "re_", "api.resend.com", NULL, NULL, SENT},
	{"Twilio", "TWILIO_AUTH_TOKEN TWILIO_API_SECRET", NULL, "api.twilio.com", NULL, NULL, SENT},
	{"Notion", "NOTION_TOKEN NOTION_API_KEY", "ntn_", "api.notion.com", NULL, NULL, SENT},
	{"Airtable", "AIRTABLE_API_KEY AIRTABLE_TOKEN", NULL, "api.airtable.com", NULL, NULL, SENT},
	{"Asana", "ASANA_TOKEN ASANA_ACCESS_TOKEN", NULL, "app.asana.com", NULL, NULL, SENT},
	{"Figma", "FIGMA_TOKEN FIGMA_ACCESS_TOKEN FIGMA_API_KEY", "figd_", "api.figma.com", NULL, "X-Figma-Token", SENT},
	{"HubSpot", "HUBSPOT_TOKEN HUBSPOT_ACCESS_TOKEN", "pat-na1-", "api.hubapi.com", NULL, NULL, SENT},
	{"PagerDuty", "PAGERDUTY_TOKEN PAGERDUTY_API_KEY", NULL, "api.pagerduty.com", NULL, NULL, SENT},
	/* payment and commerce */
	{"Stripe", "STRIPE_SECRET_KEY STRIPE_API_KEY", "sk_live_", "api.stripe.com", NULL, NULL, SENT},
	{"Stripe", "STRIPE_TEST_KEY STRIPE_TEST_SECRET_KEY", "sk_test_", "api.stripe.com", NULL, NULL, SENT},
	{"Stripe", "STRIPE_RESTRICTED_KEY", "rk_live_", "api.stripe.com", NULL, NULL, SENT},
	{"Stripe", "STRIPE_WEBHOOK_SECRET", "whsec_", "", NULL, NULL, SIGNS},
	{"Shopify", "SHOPIFY_ACCESS_TOKEN SHOPIFY_ADMIN_TOKEN", "shpat_", "*.myshopify.com", NULL, "X-Shopify-Access-Token", SENT},
	{"Square", "SQUARE_ACCESS_TOKEN", "EAAA", "connect.squareup.com", NULL, NULL, SENT},
};

size_t catalogue_count(void)
{
	return sizeof(entries) / sizeof(entries[0]);
}

const struct catalogue_entry *catalogue_get(size_t i)
{
	return i < catalogue_count() ? &entries[i] : NULL;
}

/* Is name one of the words, or, if `tail`, does it end in _WORD? */
static bool has_variable(const char *words, struct span name, bool tail)
{
	while (*words) {
		size_t len = strcspn(words, " ");

		if (name.len == len ? memcmp(name.p, words, len) == 0 :
		    tail && name.len > len + 1 && name.p[name.len - len - 1] == '_' && memcmp(name.p + name.len - len, words, len) == 0)
			return true;
		words += len + (words[len] == ' ');
	}
	return false;
}

const struct catalogue_entry *catalogue_find(struct span name, struct span value)
{
	const struct catalogue_entry *found = NULL;
	size_t longest = 0;

	for (size_t i = 0; i < catalogue_count(); i++)
		if (has_variable(entries[i].variables, name, false))
			return &entries[i];
	for (size_t i = 0; i < catalogue_count(); i++) {
		size_t len = entries[i].prefix ? strlen(entries[i].prefix) : 0;

		if (len > longest && value.len > len && memcmp(value.p, entries[i].prefix, len) == 0) {
			found = &entries[i];
			longest = len;
		}
	}
	for (size_t i = 0; !found && i < catalogue_count(); i++)
		if (has_variable(entries[i].variables, name, true))
			found = &entries[i];
	return found;
}
