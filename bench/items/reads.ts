import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import { Piko } from 'piko'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from '../scripts/about.ts'
import { claimItems } from '../../src/store/items/claim-items.ts'
import { openDatabase } from '../../src/store/connection/database.ts'
import { fillEnded, fillQueued } from './fill.ts'

const CLAIMS = 100
const LIMIT = 10
const READS = ['Handler_read_first', 'Handler_read_key', 'Handler_read_next', 'Handler_read_prev', 'Handler_read_rnd']

/** The rows that a claim reads if the table also has many items that have ended. The server counts them, and nothing else is running. */
export default async function itemsReads(config: SystemConfig): Promise<Found> {
  const ended = Number(config['ended'])
  const settings = { piko: { log_level: 'silent' }, ...storeSettings(config) }
  const app = new Piko({ jobs: [], execute: false, settings })
  await app.start()
  const about = await aboutPiko(app, config)
  await app.stop()
  const watch = await createConnection({ uri: config.dsn, timezone: 'Z' })
  await fillEnded(watch, ended)
  await fillQueued(watch, CLAIMS * LIMIT)
  const { hostname, port, username, password, pathname } = new URL(config.dsn)
  const database = await openDatabase({
    mysql: {
      ...{ host: hostname, port: Number(port), user: username, password, database: pathname.slice(1), poolSize: 1 },
      ...{ poolRecycleMs: 3_600_000, connectTimeoutMs: 10_000, statementTimeoutMs: 60_000 },
    },
  })
  const own = (await reads(watch)) - (await reads(watch))
  const before = await reads(watch)
  const beganAt = performance.now()
  let taken = 0
  for (let claim = 0; claim < CLAIMS; claim++) {
    const { claims } = await claimItems(database, {
      ...{ nodeId: 'bench', limit: LIMIT, scopes: ['bench'], jobIds: ['bench'], leadMs: 0 },
      monotonic: () => performance.now(),
    })
    taken += claims.length
  }
  const claimMs = (performance.now() - beganAt) / CLAIMS
  const read = (await reads(watch)) - before + own
  await database.close()
  await watch.end()
  if (taken !== CLAIMS * LIMIT) throw new Error(`${taken} of ${CLAIMS * LIMIT} items were claimed`)
  return {
    about,
    values: {
      'rows read per item': { value: read / taken, unit: 'rows' },
      'rows read per claim': { value: read / CLAIMS, unit: 'rows' },
      claim: { value: claimMs, unit: 'ms' },
    },
    settings: { ended, claims: CLAIMS, 'items per claim': LIMIT },
  }
}

/** Leaves out `Handler_read_rnd_next`, because the statement that reads the counters increases it. */
async function reads(watch: Connection): Promise<number> {
  const [rows] = await watch.query<RowDataPacket[]>('SHOW GLOBAL STATUS')
  const values = new Map(rows.map((row) => [String(row['Variable_name']), Number(row['Value'])]))
  return READS.reduce((sum, name) => sum + (values.get(name) ?? 0), 0)
}
