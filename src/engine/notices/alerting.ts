import type { Settings } from '../../settings/settings.ts'
import type { Alert } from '../../notice/alert.ts'
import { messagesOf } from '../../notice/channels.ts'
import { dueNotices, type DueNotice } from '../../notice/due-notices.ts'
import type { MessageStore } from '../../store/notices/message-store.ts'
import type { NoticeStore, NoticeWork } from '../../store/notices/notice-store.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { Leader } from '../node/leader.ts'
import type { Outlets } from './outlets.ts'

export interface AlertingParts extends LoopServiceParts {
  readonly store: { readonly notices: NoticeStore; readonly messages: MessageStore }
  readonly leader: Pick<Leader, 'isLeader' | 'onLead'>
  readonly outlets: Pick<Outlets, 'channels'>
  readonly settings: Settings['notify']
  /** Called after messages were stored. */
  readonly onMessages: () => void
}

/** The maximum wait between two checks. */
const LOOK_MS = 5_000
const MIN_LOOK_MS = 50
/** The windows of jobs with deadlines are read only at every third check. */
const LATE_LOOKS = 3
/** The maximum number of transactions that merge failures in one check. */
const MAX_GATHERS = 20

/**
 * Decides on the leader which notices people receive. Its whole state is in the database, so the next leader continues where a dead one
 * stopped. The transaction that stores a failure also stores a row in `piko_notice`. The transaction that stores a message also marks its
 * alerts.
 */
export class Alerting extends LoopService {
  readonly #parts: AlertingParts
  #looks = 0

  constructor(parts: AlertingParts) {
    super('alerting', parts)
    this.#parts = parts
    parts.leader.onLead(() => {
      this.#looks = 0
      this.wake()
    })
  }

  protected override async step(): Promise<number> {
    const { leader, store } = this.#parts
    if (!leader.isLeader) return Infinity
    const work = await store.notices.work()
    for (let count = 0; work.hasNotices && count < MAX_GATHERS && (await store.notices.gather()); count++);
    const looksAtLate = work.hasDeadlines && this.#looks++ % LATE_LOOKS === 0
    if (!work.hasNotices && !work.hasAlerts && !looksAtLate) return this.#lookMs
    const alerts = await this.#alerts(work, looksAtLate)
    const nextAt = alerts.length > 0 ? await this.#tell(alerts, work.now) : undefined
    const nextInMs = nextAt ? Math.max(MIN_LOOK_MS, nextAt.getTime() - work.now.getTime()) : Infinity
    return Math.min(this.#lookMs, nextInMs)
  }

  get #lookMs(): number {
    return Math.min(LOOK_MS, Math.max(MIN_LOOK_MS, this.#parts.settings.quietMs / 2))
  }

  /** Returns the alerts after checking for late jobs and for jobs that have recovered. */
  async #alerts({ hasDeadlines, now }: NoticeWork, looksAtLate: boolean): Promise<Alert[]> {
    const { notices } = this.#parts.store
    const alerts = await notices.alerts()
    const hasLate = alerts.some(({ problem }) => problem === 'late')
    const isLateRead = looksAtLate || (hasLate && !hasDeadlines)
    const { written, dropped } = isLateRead
      ? await notices.markLate(alerts, await notices.overdue(), now)
      : { written: [], dropped: [] }
    const recovered = await notices.recover(alerts)
    return written.length + dropped.length + recovered.length > 0 ? notices.alerts() : alerts
  }

  /**
   * Stores the messages that are due.
   *
   * @returns when the next ones are due
   */
  async #tell(alerts: readonly Alert[], now: Date): Promise<Date | undefined> {
    const { store, outlets, settings, leader } = this.#parts
    const { due, nextAt } = dueNotices(alerts, await store.notices.lastTold(), now, settings)
    if (due.length === 0 || !leader.isLeader) return nextAt
    const told = due.flatMap((notice) => notice.alerts)
    const hooks = await store.notices.hooks(jobsOf(due))
    const messages = messagesOf(due, outlets.channels, (jobId) => hooks.get(jobId) ?? [], now)
    await store.messages.tell(messages, told)
    this.#parts.onMessages()
    return nextAt
  }
}

function jobsOf(due: readonly DueNotice[]): string[] {
  return [...new Set(due.flatMap(({ alerts }) => alerts.map(({ jobId }) => jobId)))]
}
