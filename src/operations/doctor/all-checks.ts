import type { Check } from './check.ts'
import { binaryLog } from './checks/binary-log.ts'
import { clockSkew } from './checks/clock.ts'
import { code } from './checks/code.ts'
import { connectivity } from './checks/connectivity.ts'
import { durability } from './checks/durability.ts'
import { fleet } from './checks/fleet.ts'
import { growth } from './checks/growth.ts'
import { history } from './checks/history.ts'
import { indexes } from './checks/indexes.ts'
import { isolation } from './checks/isolation.ts'
import { packetSize } from './checks/packet-size.ts'
import { paths } from './checks/paths.ts'
import { poisonRows } from './checks/poison-rows.ts'
import { pools } from './checks/pools.ts'
import { queue } from './checks/queue.ts'
import { readOnlyServer } from './checks/read-only.ts'
import { redoLog } from './checks/redo-log.ts'
import { rights } from './checks/rights.ts'
import { schema } from './checks/schema.ts'
import { serverVersion } from './checks/server-version.ts'
import { riskySettings, settingsProblems } from './checks/settings.ts'
import { stuckRuns } from './checks/stuck-runs.ts'
import { timeZone } from './checks/time-zone.ts'
import { unknownJobs } from './checks/unknown-jobs.ts'

/** Every check, in the order of the report. */
export const CHECKS: readonly Check[] = [
  settingsProblems,
  riskySettings,
  paths,
  connectivity,
  serverVersion,
  isolation,
  timeZone,
  packetSize,
  redoLog,
  durability,
  binaryLog,
  readOnlyServer,
  rights,
  schema,
  indexes,
  clockSkew,
  pools,
  fleet,
  code,
  unknownJobs,
  stuckRuns,
  queue,
  growth,
  history,
  poisonRows,
]
