import { setTimeout as sleep } from 'node:timers/promises'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import { compareSystems } from './harness/compare-systems.ts'
import { bareLoops, piko } from './harness/contestants.ts'
import { type Options, parseOptions, sceneOf } from './harness/options.ts'
import type { Round } from './harness/round.ts'
import type { Values } from './harness/rounds.ts'

/** The server's own counters. */
const COUNTED = [
  'Questions',
  'Com_select',
  'Com_update',
  'Com_insert',
  'Com_commit',
  'Handler_read_key',
  'Handler_read_next',
  'Handler_update',
]
const BATCH = 1_000
/** InnoDB answers from its previous result unless there was no query for 100 ms. */
const LOOK_MS = 110

/** The cost of 1,000 runs by the server's own counters: statements, rows and locks. Includes the start and the stop of the node. */
export async function queries(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { store: 'mysql', repeat: 5 })
  await compareSystems({
    bench: 'queries',
    scene: sceneOf(options, `${options.runs.toLocaleString('en')} runs`),
    options,
    contestants: [piko(options), ...bareLoops('mysql', options.binlog)],
    settings: { runs: options.runs, bulk: BATCH },
    measure: (round) => measure(round, options),
  })
}

async function measure(round: Round, { runs }: Options): Promise<Values> {
  const watch = await createConnection(round.dsn)
  const before = await counters(watch)
  await round.phase('enqueue', runs, BATCH)
  const between = await counters(watch)
  const watching = watchLocks(round.dsn)
  await round.phase('process', runs, false)
  const locks = await watching.stop()
  const after = await counters(watch)
  await watch.end()
  const each = (from: Counters, to: Counters, name: string): number =>
    (((to.get(name) ?? 0) - (from.get(name) ?? 0)) / runs) * 1_000
  const values: Record<string, { value: number; unit: string }> = {
    'enqueue: queries': { value: each(before, between, 'Questions'), unit: 'per 1,000 runs' },
  }
  for (const name of COUNTED) {
    const own = name === 'Questions' || name === 'Com_select' ? (locks.asked / runs) * 1_000 : 0
    const label = name === 'Questions' ? 'queries' : name
    values[`process: ${label}`] = { value: each(between, after, name) - own, unit: 'per 1,000 runs' }
  }
  values['maximum rows locked by one transaction'] = { value: locks.most, unit: 'rows' }
  return values
}

type Counters = ReadonlyMap<string, number>

async function counters(watch: Connection): Promise<Counters> {
  const [rows] = await watch.query<RowDataPacket[]>('SHOW GLOBAL STATUS')
  return new Map(rows.map((row) => [String(row['Variable_name']), Number(row['Value'])]))
}

function watchLocks(dsn: string): { stop(): Promise<{ most: number; asked: number }> } {
  let isOver = false
  const watching = (async () => {
    const connection = await createConnection(dsn)
    let most = 0
    let asked = 0
    while (!isOver) {
      const [rows] = await connection.query<RowDataPacket[]>(
        'SELECT MAX(trx_rows_locked) AS locked FROM information_schema.INNODB_TRX',
      )
      asked += 1
      most = Math.max(most, Number(rows[0]?.['locked'] ?? 0))
      await sleep(LOOK_MS)
    }
    await connection.end()
    return { most, asked }
  })()
  return {
    stop: () => {
      isOver = true
      return watching
    },
  }
}
