import { Leader } from '../engine/node/leader.ts'
import { UnknownJobs } from '../engine/node/unknown-jobs.ts'
import { Alerting } from '../engine/notices/alerting.ts'
import { Delivery } from '../engine/notices/delivery.ts'
import { Retention } from '../engine/node/retention.ts'
import { UnledJobs } from '../engine/planning/unled-jobs.ts'
import { BackfillDriver } from '../engine/planning/backfill-driver.ts'
import { BatchDriver } from '../engine/planning/batch-driver.ts'
import { DependencyDriver } from '../engine/planning/dependency-driver.ts'
import { OwnPlans } from '../engine/planning/own-plans.ts'
import { Planner } from '../engine/planning/planner.ts'
import { Registration } from '../engine/planning/registration.ts'
import type { Service } from '../service/service.ts'
import type { Agenda, PlanScope } from '../store/jobs/plan.ts'
import type { Execution } from './build-execution.ts'
import type { NodeParts } from './node-parts.ts'

/** The parts of a node that plan. Most of them work only while the node is the leader. */
export interface Planning {
  readonly leader: Leader
  readonly backfills: BackfillDriver
  readonly batches: BatchDriver
  /** The services, in the order in which they start. */
  readonly services: readonly Service[]
}

export function buildPlanning(
  parts: NodeParts,
  {
    lease,
    executor,
    dispatcher,
    prepare,
    signal,
    live,
  }: Pick<Execution, 'lease' | 'executor' | 'dispatcher' | 'prepare' | 'signal' | 'live'>,
): Planning {
  const { registry, events, clock, loops, settings } = parts
  const { store } = parts.store
  const { leaseMs } = settings.piko
  const leader = new Leader({ locks: store.locks, nodeId: lease.nodeId, leaseMs, clock, events, loops })
  parts.databaseClock?.beforeJump((ms) => leader.keepFor(ms))
  // Uses the database's clock, because the clocks of two nodes differ. A test may replace it.
  const agenda = async (scope?: PlanScope): Promise<Agenda> => {
    const { now, ...rest } = await store.plans.agenda(scope)
    return { ...rest, now: parts.testClock ? new Date(parts.testClock.now()) : now }
  }
  const onQueued = (count: number): void => signal.queued(count)
  const unled = new UnledJobs(store)
  const driving = { registry, leader, unled, prepare, clock, events, loops, onQueued }
  const backfills = new BackfillDriver(live.polled({ ...driving, store }))
  const batches = new BatchDriver(live.polled({ ...driving, store }))
  const dependencies = new DependencyDriver(live.polled({ ...driving, store: store.dependencies }))
  executor.onSettled((run) => dependencies.settled(run))
  const outlets = parts.outlets
  const delivery = new Delivery({
    store: store.messages,
    settings: settings.notify,
    leader,
    outlets,
    ...{ clock, events, loops },
  })
  const alerting = new Alerting({
    ...{ store, leader, outlets, clock, loops },
    settings: settings.notify,
    onMessages: () => delivery.wake(),
  })
  const own = new OwnPlans()
  const services = [
    new Registration({ jobs: store.jobs, registry, agenda, own, clock, loops }),
    leader,
    new Planner(
      live.polled({
        ...{ plans: store.plans, cancels: store.cancels },
        ...{ agenda, registry, leader, own, prepare, clock, events, loops },
        onPlanned: (runAts) => dispatcher.expect(runAts),
      }),
    ).dependsOn(leader),
    new Retention({
      ...{ store: store.retention, rows: store.rowCheck, batches: store.batches, history: settings.history },
      caches: store.caches,
      live: { prune: () => store.events.prune(settings.events.keepMs, settings.events.keep) },
      aged: [
        { keepMs: settings.sinks.keepDeadMs, store: store.deadRows },
        { keepMs: settings.sinks.keepDeadMs, store: store.spills },
        { keepMs: settings.history.keepAuditMs, store: store.audit },
        { keepMs: settings.notify.keepMs, store: store.messages },
      ],
      sessions: store.tokens,
      ...{ leader, clock, events, loops },
    }).dependsOn(leader),
    // A test may move the database's clock by months, and must not wait for a check in each of their minutes.
    ...(parts.databaseClock
      ? []
      : [new UnknownJobs({ store: store.doctor, leader, clock, events, loops }).dependsOn(leader)]),
    backfills.dependsOn(leader),
    batches,
    dependencies.dependsOn(leader),
    delivery.dependsOn(leader),
    alerting.dependsOn(leader),
  ]
  return { leader, backfills, batches, services }
}
