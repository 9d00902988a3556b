import { duration, list, optionalMailServer, optionalSecret, optionalText, optionalWebhook } from '../setting-types.ts'

/** When and how Piko notifies people of failures, late data and recoveries. */
export const notify = {
  quietMs: duration({
    key: 'quiet',
    default: '10s',
    min: '0s',
    max: '1h',
    help: 'A burst of failures is over when nothing has failed for this long. One notice then reports it.',
  }),
  maxWaitMs: duration({
    key: 'max_wait',
    default: '2m',
    min: '0s',
    max: '1d',
    help: 'Longest time from the beginning of a burst to its notice.',
  }),
  intervalMs: duration({
    key: 'interval',
    default: '1m',
    min: '0s',
    max: '1d',
    help: 'Shortest time between two notices of one kind. The next one also contains what has happened in between.',
  }),
  /** A problem that occurs again or gets worse is reported again after this time; 0: never. */
  repeatMs: duration({
    key: 'repeat',
    default: '4h',
    min: '0s',
    max: '30d',
    help: 'A problem that occurs again or gets worse is reported again after this time; 0s: never.',
  }),
  timeoutMs: duration({
    key: 'timeout',
    default: '30s',
    min: '1s',
    max: '10m',
    help: 'Longest time of one call to a hook or a notifier. A failed call is repeated, for at most a day.',
  }),
  keepMs: duration({
    key: 'keep',
    default: '30d',
    min: '1d',
    max: '3650d',
    help: 'Messages are deleted after this time.',
  }),
  link: optionalText({
    key: 'link',
    help: 'Address at which people reach the dashboard, for links in messages, such as "https://piko.example.com".',
  }),
  webhookUrl: optionalWebhook({
    key: 'webhook_url',
    help: 'Receiver of notices as JSON; empty: none. docs/notify.md shows the form.',
  }),
  webhookSecret: optionalSecret({
    key: 'webhook_secret',
    help: 'Key of at least 16 characters that signs these notices; empty: they are unsigned.',
  }),
  slackUrl: optionalWebhook({
    key: 'slack_url',
    help: 'Incoming webhook of Slack, or of a program with the same form, such as Mattermost; empty: none.',
  }),
  smtpUrl: optionalMailServer({
    key: 'smtp_url',
    help: 'Mail server, such as "smtps://user:password@mail.example.com"; needs the package nodemailer. Empty: no e-mail.',
  }),
  emailFrom: optionalText({ key: 'email_from', help: 'Sender of the e-mails.' }),
  emailTo: list({ key: 'email_to', default: [], help: 'Recipients of the e-mails.' }),
}
