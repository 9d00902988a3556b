import type { Notice, NoticeContext, Notifier } from '../notice/notice.ts'
import {
  aTemplate,
  anAddress,
  filterOf,
  NOTIFIER_CHECKS,
  notifierOptions,
  type NotifierOptions,
  type Template,
} from './notifier-options.ts'
import { linesOf, titleOf } from './notice-text.ts'
import { post } from './post.ts'

export interface SlackOptions extends NotifierOptions {
  /** The address of the incoming webhook. */
  readonly url: string
  /**
   * Creates the text of a message, in Slack's markup, or the whole body, such as `{ blocks: […] }`. Default: a title and one line per job.
   */
  readonly template?: Template<string | object>
}

const CHECKS = { ...NOTIFIER_CHECKS, url: anAddress, template: aTemplate }
const SIGNS = { failure: ':red_circle:', late: ':hourglass:', recovered: ':large_green_circle:', test: ':wave:' }

/**
 * Posts notices to an incoming webhook of Slack, or of a program with compatible webhooks, such as Mattermost.
 *
 * @throws PikoError `USAGE` naming every wrong option
 */
export function slack(given: SlackOptions): Notifier {
  const example = "{ url: 'https://hooks.slack.com/services/…' }"
  const options = notifierOptions('slack', given, CHECKS, example, ['url'])
  const { name = 'slack', url, template, link = '' } = options
  return Object.freeze({
    name,
    ...filterOf(options),
    async send(notice: Notice, { signal }: NoticeContext): Promise<void> {
      const made = template?.(notice) ?? textOf(notice, link)
      await post(url, JSON.stringify(typeof made === 'string' ? { text: made } : made), {}, signal)
    },
  })
}

function textOf(notice: Notice, link: string): string {
  const lines = linesOf(notice, link).map((line) => `• ${escaped(line)}`)
  return [`${SIGNS[notice.kind]} *${escaped(titleOf(notice))}*`, ...lines].join('\n')
}

/** Escapes the three characters that Slack's markup reserves for links and entities. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
