import { optionalPackage } from '../optional-package.ts'
import { aText, expecting, isList } from '../options.ts'
import type { Notice, NoticeContext, Notifier } from '../notice/notice.ts'
import {
  aTemplate,
  filterOf,
  NOTIFIER_CHECKS,
  notifierOptions,
  type NotifierOptions,
  type Template,
} from './notifier-options.ts'
import { linesOf, titleOf } from './notice-text.ts'

/** The subject and the body of an e-mail. */
export interface EmailTexts {
  readonly subject: string
  readonly text: string
  readonly html?: string
}

export interface EmailOptions extends NotifierOptions {
  /** The mail server's address: `smtps://user:password@mail.example.com`, or `smtp://mail.example.com:587`. */
  readonly smtp: string
  readonly from: string
  readonly to: string | readonly string[]
  readonly template?: Template<EmailTexts>
}

const CHECKS = {
  ...NOTIFIER_CHECKS,
  // An error message does not show the value, because it may contain a password.
  smtp: (value: unknown) =>
    typeof value === 'string' && /^smtps?:\/\/\S+$/i.test(value)
      ? undefined
      : 'is not the address of a mail server; expected one such as "smtps://user:password@mail.example.com"',
  from: aText,
  to: expecting('an address, or a list of some', (value) =>
    isList(value) ? value.length > 0 && value.every(isText) : isText(value),
  ),
  template: aTemplate,
}

/** How long a mail server may be silent. */
const SOCKET_MS = 20_000

/**
 * Sends notices by e-mail. Needs the package nodemailer.
 *
 * @throws PikoError `USAGE` naming every wrong option. The first call to `send` throws `PACKAGE_MISSING` without nodemailer
 */
export function email(given: EmailOptions): Notifier {
  const example = "{ smtp: 'smtps://user:password@mail.example.com', from: 'piko@example.com', to: 'data@example.com' }"
  const options = notifierOptions('email', given, CHECKS, example, ['smtp', 'from', 'to'])
  const { name = 'email', smtp, from, to, template, link = '' } = options
  return Object.freeze({
    name,
    ...filterOf(options),
    async send(notice: Notice, { signal }: NoticeContext): Promise<void> {
      const { createTransport } = await optionalPackage('nodemailer', 'email()', () => import('nodemailer'))
      const timeouts = { connectionTimeout: SOCKET_MS, greetingTimeout: SOCKET_MS, socketTimeout: SOCKET_MS }
      const transport = createTransport({ url: smtp, ...timeouts })
      try {
        const texts = template?.(notice) ?? textsOf(notice, link)
        // The id is the same for each delivery of a notice, so that mail programs can recognise a message that was sent twice.
        const messageId = `<piko-${notice.id}-${notice.at.getTime()}@${domainOf(from)}>`
        // Aborting the signal also closes a connection to a server that has stopped responding.
        await transport.sendMail({ from, to: isList(to) ? [...to] : to, messageId, ...texts, signal })
      } finally {
        transport.close()
      }
    },
  })
}

function textsOf(notice: Notice, link: string): EmailTexts {
  const title = titleOf(notice)
  return { subject: title, text: `${[title, '', ...linesOf(notice, link)].join('\n')}\n` }
}

function domainOf(address: string): string {
  return /@([\w.-]+)/.exec(address)?.[1] ?? 'piko'
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}
