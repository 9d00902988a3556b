import { createHmac } from 'node:crypto'
import { systemClock } from '../clock.ts'
import { aText } from '../options.ts'
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

export interface WebhookOptions extends NotifierOptions {
  readonly url: string
  /**
   * The secret with which each request is signed. In the form `whsec_…`, the rest is the key in base64; otherwise the string itself is the
   * key. Default: not signed.
   */
  readonly secret?: string
  /** Additional headers, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>>
  /** Creates the body, which is sent as JSON. Default: the notice with `title` and `text`. */
  readonly template?: Template<unknown>
}

const CHECKS = {
  ...NOTIFIER_CHECKS,
  url: anAddress,
  secret: aText,
  headers: (value: unknown) =>
    typeof value === 'object' && value !== null && Object.values(value).every((one) => typeof one === 'string')
      ? undefined
      : 'is not an object of strings; expected headers such as { authorization: "Bearer …" }',
  template: aTemplate,
}

/**
 * Posts notices as JSON, in the form of the Standard Webhooks specification: the headers `webhook-id`, `webhook-timestamp` and, with a
 * secret, `webhook-signature`. The id is the same if a notice is delivered again.
 *
 * @throws PikoError `USAGE` naming every wrong option
 * @example
 * new Piko({ notifiers: [webhook({ url: 'https://example.com/hook', secret: process.env.HOOK_SECRET })] })
 */
export function webhook(given: WebhookOptions): Notifier {
  const example = "{ url: 'https://example.com/hook', secret: '…' }"
  const options = notifierOptions('webhook', given, CHECKS, example, ['url'])
  const { name = 'webhook', url, secret, headers, template, link = '' } = options
  return Object.freeze({
    name,
    ...filterOf(options),
    async send(notice: Notice, { signal }: NoticeContext): Promise<void> {
      const body = JSON.stringify(
        template?.(notice) ?? { ...notice, title: titleOf(notice), text: linesOf(notice, link).join('\n') },
      )
      await post(url, body, { ...headers, ...webhookHeaders(notice.id, body, secret, systemClock.now()) }, signal)
    },
  })
}

/** Creates the headers that identify and sign a body. */
export function webhookHeaders(
  id: number,
  body: string,
  secret: string | undefined,
  nowMs: number,
): Record<string, string> {
  const webhookId = `piko-${id}`
  const timestamp = String(Math.floor(nowMs / 1_000))
  const headers = { 'webhook-id': webhookId, 'webhook-timestamp': timestamp }
  if (secret === undefined || secret === '') return headers
  const signature = createHmac('sha256', keyOf(secret)).update(`${webhookId}.${timestamp}.${body}`).digest('base64')
  return { ...headers, 'webhook-signature': `v1,${signature}` }
}

function keyOf(secret: string): Buffer {
  return secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret)
}
