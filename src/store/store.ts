import { sql } from 'kysely'
import type { Claim } from '../run/run.ts'
import type { SqlExecutor } from '../sql/sql.ts'
import { AuditStore } from './access/audit-store.ts'
import { TokenStore } from './access/token-store.ts'
import { AttemptStore } from './history/attempt-store.ts'
import { BackfillStore } from './backfills/backfill-store.ts'
import { BatchStore } from './batches/batch-store.ts'
import { CancelStore } from './runs/cancel-store.ts'
import { ConfigAckStore } from './jobs/config-ack-store.ts'
import { ConfigStore } from './jobs/config-store.ts'
import { commitRun, type CommitRules } from './runs/commit-run.ts'
import type { Database } from './connection/database.ts'
import { DependencyStore } from './windows/dependency-store.ts'
import { enqueueIn } from './runs/enqueue-in.ts'
import type { EnqueueTransaction } from './statements/user-transaction.ts'
import { DoctorStore } from './doctor/doctor-store.ts'
import { EventStore } from './events/event-store.ts'
import { FigureStore } from './figures/figure-store.ts'
import { ItemStore } from './items/item-store.ts'
import { JobStore } from './jobs/job-store.ts'
import { PlanStore } from './jobs/plan-store.ts'
import { MessageStore } from './notices/message-store.ts'
import { NoticeStore } from './notices/notice-store.ts'
import { LockStore } from './nodes/lock-store.ts'
import { assertSchema, migrate } from './migration/migrate.ts'
import { NodeStore } from './nodes/node-store.ts'
import { ProgressStore } from './history/progress-store.ts'
import { ProofStore } from './proof/proof-store.ts'
import { RateStore } from './admission/rate-store.ts'
import { WaitStore } from './admission/wait-store.ts'
import { ReplayStore } from './runs/replay-store.ts'
import { RetentionStore } from './history/retention-store.ts'
import { RowCheck } from './values/row-check.ts'
import { RunLogStore } from './history/run-log-store.ts'
import { RunStore } from './runs/run-store.ts'
import { CacheStore } from './cache/cache-store.ts'
import { SharedStore } from './shared/shared-store.ts'
import { DeadRowStore } from './sinks/dead-row-store.ts'
import { SpillStore } from './sinks/spill-store.ts'
import { StepStore } from './steps/step-store.ts'
import { WindowStore } from './windows/window-store.ts'
import type { NewRun } from './runs/new-run.ts'

/** The open store. It has one object for each group of tables. All of them use the same database. */
export interface Store {
  readonly database: Database
  readonly runs: RunStore
  readonly jobs: JobStore
  readonly plans: PlanStore
  readonly configs: ConfigStore
  readonly configAcks: ConfigAckStore
  readonly windows: WindowStore
  readonly backfills: BackfillStore
  readonly batches: BatchStore
  readonly dependencies: DependencyStore
  readonly nodes: NodeStore
  readonly locks: LockStore
  readonly cancels: CancelStore
  readonly rates: RateStore
  readonly waits: WaitStore
  readonly replays: ReplayStore
  readonly attempts: AttemptStore
  readonly runLogs: RunLogStore
  readonly steps: StepStore
  readonly items: ItemStore
  readonly progress: ProgressStore
  readonly deadRows: DeadRowStore
  readonly spills: SpillStore
  readonly shared: SharedStore
  readonly caches: CacheStore
  readonly proofs: ProofStore
  readonly tokens: TokenStore
  readonly audit: AuditStore
  readonly retention: RetentionStore
  readonly rowCheck: RowCheck
  readonly events: EventStore
  readonly doctor: DoctorStore
  readonly notices: NoticeStore
  readonly figures: FigureStore
  readonly messages: MessageStore
  readonly commit: <T>(
    nodeId: string,
    claim: Claim,
    fn: (trx: SqlExecutor) => Promise<T>,
    rules: CommitRules,
  ) => Promise<T>
  readonly enqueueIn: (trx: EnqueueTransaction, requests: readonly NewRun[]) => Promise<number[]>
  /** Migrates the schema to the latest version if `autoMigrate` is set. Then checks that the schema has the latest version. */
  prepare(autoMigrate: boolean): Promise<void>
  /** Makes one round trip to the database, to check that it answers. */
  ping(): Promise<void>
}

export function storeOn(database: Database): Store {
  return {
    database,
    runs: new RunStore(database),
    jobs: new JobStore(database),
    plans: new PlanStore(database),
    configs: new ConfigStore(database),
    configAcks: new ConfigAckStore(database),
    windows: new WindowStore(database),
    backfills: new BackfillStore(database),
    batches: new BatchStore(database),
    dependencies: new DependencyStore(database),
    nodes: new NodeStore(database),
    locks: new LockStore(database),
    cancels: new CancelStore(database),
    rates: new RateStore(database),
    waits: new WaitStore(database),
    replays: new ReplayStore(database),
    attempts: new AttemptStore(database),
    runLogs: new RunLogStore(database),
    steps: new StepStore(database),
    items: new ItemStore(database),
    progress: new ProgressStore(database),
    deadRows: new DeadRowStore(database),
    spills: new SpillStore(database),
    shared: new SharedStore(database),
    caches: new CacheStore(database),
    proofs: new ProofStore(database),
    tokens: new TokenStore(database),
    audit: new AuditStore(database),
    retention: new RetentionStore(database),
    rowCheck: new RowCheck(database),
    events: new EventStore(database),
    doctor: new DoctorStore(database),
    notices: new NoticeStore(database),
    figures: new FigureStore(database),
    messages: new MessageStore(database),
    commit: (nodeId, claim, fn, rules) => commitRun(database, nodeId, claim, fn, rules),
    enqueueIn: (trx, requests) => enqueueIn(database, trx, requests),
    async prepare(autoMigrate) {
      if (autoMigrate) await migrate(database, { direction: 'up' })
      await assertSchema(database)
    },
    async ping() {
      await sql`SELECT 1`.execute(database.db)
    },
  }
}
