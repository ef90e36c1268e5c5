const NEW_TOKEN = "set a valid bot token in the channel's `token`";
const NEW_HOOK = 'make a new incoming webhook in Slack and set its `webhookUrl`';

/** What to do about Slack's errors. https://docs.slack.dev/reference/methods/chat.postMessage#errors */
const ADVICE: Record<string, string> = {
  invalid_auth: NEW_TOKEN,
  not_authed: NEW_TOKEN,
  token_revoked: NEW_TOKEN,
  token_expired: NEW_TOKEN,
  account_inactive: NEW_TOKEN,
  missing_scope: 'give the app the scope chat:write and install it again',
  channel_not_found: "correct the channel's ID; a private channel must have invited the app",
  not_in_channel: 'invite the app: /invite @<app> in the channel',
  is_archived: 'name a channel that is not archived',
  channel_is_archived: 'name a channel that is not archived',
  restricted_action: 'an administrator of the workspace must let the app post there',
  action_prohibited: 'an administrator of the workspace must let the app post there',
  msg_too_long: 'the text is too long; shorten it',
  invalid_blocks: 'Slack did not understand the blocks; the run has the text',
  ratelimited: 'too many messages to this channel; fewer runs at once, or another channel',
  rate_limited: 'too many messages to this channel; fewer runs at once, or another channel',
  no_service: NEW_HOOK,
  no_team: NEW_HOOK,
  no_active_hooks: NEW_HOOK,
  invalid_token: NEW_HOOK,
  user_not_found: NEW_HOOK,
};

/** Slack's word for what went wrong, and what to do next. */
export function slackProblem(error: string): string {
  const advice = ADVICE[error];
  return advice === undefined ? `Slack refused it: ${error}` : `Slack refused it: ${error}; ${advice}`;
}
