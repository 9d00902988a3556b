import type { Alert } from './alert.ts'
import { HOOK_KINDS, type NoticeKind } from './notice.ts'

/** The rules for when people are notified. All times are in milliseconds. */
export interface NoticePolicy {
  /** A burst ends when nothing new has happened for this long. */
  readonly quietMs: number
  /** A burst ends at most this long after it began. */
  readonly maxWaitMs: number
  /** The minimum time between two notices of the same kind. */
  readonly intervalMs: number
  /** If a problem occurs again or gets worse after its notice, the notice is repeated after this time; 0: never. */
  readonly repeatMs: number
}

export interface DueNotice {
  readonly kind: Exclude<NoticeKind, 'test'>
  readonly alerts: readonly Alert[]
}

export interface Decision {
  readonly due: readonly DueNotice[]
  /** When to check again; undefined: when an alert changes. */
  readonly nextAt: Date | undefined
}

/** When each kind of notice was last sent. */
export type LastTold = Readonly<Partial<Record<NoticeKind, Date>>>

/**
 * Decides which notices are due. When a burst is over, all waiting alerts of one kind become one notice. Pure.
 *
 * An alert without a notice waits for its notice even if the job has recovered since; the recovery is the next notice.
 */
export function dueNotices(alerts: readonly Alert[], lastTold: LastTold, now: Date, policy: NoticePolicy): Decision {
  const due: DueNotice[] = []
  let nextMs = Infinity
  for (const kind of HOOK_KINDS) {
    const waiting = alerts.filter((alert) => kindOf(alert, policy) === kind)
    if (waiting.length === 0) continue
    const atMs = Math.max(burstEndMs(waiting, policy), (lastTold[kind]?.getTime() ?? -Infinity) + policy.intervalMs)
    if (atMs <= now.getTime()) due.push({ kind, alerts: waiting.toSorted((one, other) => other.count - one.count) })
    else nextMs = Math.min(nextMs, atMs)
  }
  return { due, nextAt: nextMs === Infinity ? undefined : new Date(nextMs) }
}

/** Returns the notice that an alert is waiting for. Undefined: people have already been notified. */
function kindOf(alert: Alert, { repeatMs }: NoticePolicy): DueNotice['kind'] | undefined {
  const { toldAt, recoveredAt, lastAt, problem } = alert
  if (!toldAt) return problem
  if (recoveredAt) return 'recovered'
  return repeatMs > 0 && lastAt > toldAt ? problem : undefined
}

function burstEndMs(waiting: readonly Alert[], { quietMs, maxWaitMs, repeatMs }: NoticePolicy): number {
  let [firstMs, lastMs] = [Infinity, -Infinity]
  for (const { openedAt, lastAt, toldAt, recoveredAt } of waiting) {
    const again = toldAt && (recoveredAt?.getTime() ?? toldAt.getTime() + repeatMs)
    firstMs = Math.min(firstMs, again ?? openedAt.getTime())
    lastMs = Math.max(lastMs, again ?? lastAt.getTime())
  }
  return Math.min(lastMs + quietMs, firstMs + maxWaitMs)
}
