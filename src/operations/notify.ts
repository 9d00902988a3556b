import { systemClock } from '../clock.ts'
import { messageOf } from '../errors-read.ts'
import { describe, PikoError, toError } from '../errors.ts'
import { within } from '../calls/timeout.ts'
import { oneOf, type OptionChecks, wholeNumber, aText } from '../options.ts'
import type { Alert } from '../notice/alert.ts'
import type { Notice, Notifier } from '../notice/notice.ts'
import { redactText } from '../run/redact.ts'
import type { StoredMessage } from '../store/notices/message-store.ts'
import { MESSAGE_STATES, type MessageState } from '../store/notices/notice-tables.ts'
import { readArguments } from './arguments.ts'
import type { Reach } from './reach.ts'

/** The result of testing one notifier. */
export interface NotifyTest {
  readonly notifier: string
  readonly isOk: boolean
  /** Why the message was not delivered, without secrets. */
  readonly error?: string
  readonly durationMs: number
}

export interface MessageFilter {
  readonly state?: MessageState
  /** Lists only messages with smaller ids, for the next page. */
  readonly before?: number
  /** The maximum number of messages, newest first. Default 100. */
  readonly limit?: number
}

/** A message to people; an entry of `app.notify.list`. */
export interface MessageStatus extends Omit<StoredMessage, 'notice'> {
  readonly jobs: readonly string[]
  readonly jobCount: number
  readonly count: number
}

type NotifyReach = Pick<Reach, 'store' | 'outlets' | 'notifyTimeoutMs'>

/** `app.notify`: notices to people about failures, late data and recoveries. */
export class Notify {
  readonly #reach: () => NotifyReach

  constructor(reach: () => NotifyReach) {
    this.#reach = reach
  }

  /**
   * Sends a notice of the kind `test` to each notifier of this process, and waits for the results. Hooks are not called.
   *
   * @param options.to tests only this notifier
   * @throws PikoError `USAGE` if there is no such notifier, or none at all
   */
  async test(options: { readonly to?: string } = {}): Promise<NotifyTest[]> {
    const { to } = readArguments(
      { call: 'app.notify.test', checks: { to: aText }, example: "{ to: 'slack' }" },
      {},
      options,
    )
    const { outlets, notifyTimeoutMs } = this.#reach()
    const chosen = to === undefined ? outlets.notifiers : outlets.notifiers.filter(({ name }) => name === to)
    if (chosen.length === 0) {
      const names = outlets.notifiers.map(({ name }) => name)
      const known = names.length === 0 ? 'this process has none' : `this process has ${names.join(', ')}`
      const what = to === undefined ? 'finds no notifier' : `finds no notifier ${describe(to)}`
      throw new PikoError(
        'USAGE',
        `app.notify.test ${what}: ${known}; set [notify] webhook_url, slack_url or smtp_url, or the option notifiers (docs/notify.md)`,
        { details: { notifiers: names } },
      )
    }
    return Promise.all(chosen.map((notifier) => tested(notifier, notifyTimeoutMs)))
  }

  /**
   * Lists messages to hooks and notifiers, newest first. Each has been sent, is waiting, or has failed permanently.
   *
   * @throws PikoError `USAGE`
   */
  async list(filter: MessageFilter = {}): Promise<MessageStatus[]> {
    const checked = readArguments({ call: 'app.notify.list', checks: FILTER, example: "{ state: 'dead' }" }, {}, filter)
    const messages = await this.#reach().store.messages.list(checked)
    return messages.map(({ notice: { jobs, jobCount, count }, ...message }) => ({
      ...message,
      ...{ jobs: jobs.map(({ jobId }) => jobId), jobCount, count },
    }))
  }

  /** Lists alerts: jobs that fail or are late. An alert is deleted when the recovery of its job has been reported. */
  alerts(): Promise<Alert[]> {
    return this.#reach().store.notices.alerts()
  }
}

const FILTER = {
  state: oneOf(...MESSAGE_STATES),
  before: wholeNumber(1),
  limit: wholeNumber(0),
} satisfies OptionChecks<MessageFilter>

async function tested(notifier: Notifier, timeoutMs: number): Promise<NotifyTest> {
  const at = new Date(systemClock.now())
  const notice: Notice = { id: at.getTime(), kind: 'test', at, jobs: [], jobCount: 0, count: 0 }
  const startedAt = systemClock.monotonic()
  const ended = (): number => Math.round(systemClock.monotonic() - startedAt)
  try {
    await within(async (signal) => notifier.send(notice, { signal }), timeoutMs, undefined)
    return { notifier: notifier.name, isOk: true, durationMs: ended() }
  } catch (thrown) {
    const error = redactText(messageOf(toError(thrown)))
    return { notifier: notifier.name, isOk: false, error, durationMs: ended() }
  }
}
