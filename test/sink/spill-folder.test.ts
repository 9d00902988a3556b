import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { defineSink } from '../../src/sink/define-sink.ts'
import type { DurableParts } from '../../src/sink/sink-target.ts'
import type { SinkRules } from '../../src/sink/sink.ts'
import { SinkPool } from '../../src/sink/sink-pool.ts'
import { spillFiles } from '../../src/sink/spill/spill-files.ts'
import { eventually } from '../support/app.ts'
import { hourOf, sinkScope } from './sink-scope.ts'

const Row = z.object({ id: z.int(), at: z.date() }).meta({ id: 'Row' })
class Note {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
  get loud(): string {
    return this.text.toUpperCase()
  }
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'piko-spill-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

interface Event {
  readonly name: string
  readonly [field: string]: unknown
}

/** One process of an app whose target can be down. */
async function processOf(
  dir: string,
  options: { app?: string; isDown?: boolean; rules?: SinkRules; error?: Error } = {},
) {
  const { app = 'shop-1', rules = {}, error } = options
  const state = { isDown: options.isDown ?? true }
  const events: Event[] = []
  const got: unknown[] = []
  const dead: unknown[] = []
  const deliver = (rows: unknown[]): void => {
    if (state.isDown) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    if (error) throw error
    got.push(...rows)
  }
  const Rows = defineSink({
    name: 'rows/of shop',
    batchSize: 10,
    guarantee: 'idempotent',
    spill: { retryEvery: '20ms' },
    on: [
      [Row, deliver],
      [Note, deliver],
    ],
    clear: (_scope, model) => {
      if (state.isDown) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
      got.push(`cleared ${model === Row ? 'rows' : 'notes'}`)
    },
    ...rules,
  })
  const observe =
    (name: string) =>
    (event: object): void =>
      void events.push({ name, ...event })
  const durable: DurableParts = {
    deadLetters: { add: async (_source, rows) => void dead.push(...rows) },
    journal: { note: () => {}, flushed: () => Promise.resolve() },
    observer: {
      ...{ spilling: observe('spilling'), drained: observe('drained'), adopted: observe('adopted') },
      ...{ damaged: observe('damaged'), superseded: observe('superseded') },
    },
    spillDir: dir,
    app: () => Promise.resolve(app),
  }
  const { sql, log } = sinkScope()
  const pool = new SinkPool({ env: { sql, log }, durable })
  onTestFinished(() => pool.close())
  await pool.start([Rows])
  const write = async (from: number, count: number, window = false): Promise<void> => {
    const run = await pool.forRun({ rows: Rows }, sinkScope(window ? { window: hourOf(1) } : {}))
    for (let id = from; id < from + count; id++) await run.writers['rows']?.write(Row, { id, at: new Date(id) })
    await run.flush()
  }
  return { state, events, got, dead, pool, Rows, write, ids: () => got.map((row) => (row as { id: number }).id) }
}

/** The files of a folder, below it. */
function filesIn(folder: string, end: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(end))
    .map((name) => join(folder, name))
}

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

describe('a spill', () => {
  it('keeps the order, the types of values and the classes of rows, and then lets rows pass directly again', async () => {
    const dir = newFolder()
    const { write, state, got, events, pool, Rows } = await processOf(dir)
    await write(1, 25)
    expect([got, pool.stats[0]?.spilledRows, pool.stats[0]?.spillSegments]).toEqual([[], 25, 1])
    const run = await pool.forRun({ rows: Rows }, sinkScope({ window: hourOf(2) }))
    await run.writers['rows']?.write(Note, new Note('quiet'))
    await run.flush()
    state.isDown = false
    await eventually(() => expect(events.map(({ name }) => name)).toEqual(['spilling', 'drained']))
    expect(got.slice(0, 25)).toEqual(numbers(1, 25).map((id) => ({ id, at: new Date(id) })))
    expect((got[25] as Note).loud).toBe('QUIET')
    expect(got.slice(26)).toEqual(['cleared rows'])
    await write(100, 1)
    expect(got.at(-1)).toEqual({ id: 100, at: new Date(100) })
    await eventually(() => expect(pool.stats[0]).toMatchObject({ spillBytes: 0, spillSegments: 0, spilledRows: 26 }))
    expect(statSync(join(dir, 'shop-1')).mode & 0o777).toBe(0o700)
  })

  it('belongs to its process while that lives, then to exactly one other of the same app, and to no other app', async () => {
    const dir = newFolder()
    const first = await processOf(dir)
    await first.write(1, 30)
    const sister = await processOf(dir, { isDown: false })
    const stranger = await processOf(dir, { app: 'other-2', isDown: false })
    expect([sister.events, stranger.events]).toEqual([[], []])
    await first.pool.close()
    const heirs = await Promise.all([processOf(dir, { isDown: false }), processOf(dir, { isDown: false })])
    await eventually(() => expect(heirs.flatMap(({ ids }) => ids())).toEqual(numbers(1, 30)))
    await eventually(() =>
      expect(heirs.flatMap(({ events }) => events.map(({ name }) => name)).sort()).toEqual(['adopted', 'drained']),
    )
    expect([sister.got, stranger.got]).toEqual([[], []])
  })

  it.each([
    ['a flipped byte in a row', (bytes: Buffer) => bytes.writeUInt8(bytes.readUInt8(700) ^ 1, 700), /checksum/],
    ['a flipped byte in a length', (bytes: Buffer) => bytes.writeUInt8(bytes.readUInt8(12) ^ 1, 12), /damaged bytes/],
    ['a flipped first byte', (bytes: Buffer) => bytes.writeUInt8(0, 0), /begins with damaged bytes/],
  ])('finds %s, delivers the other batches and keeps the segment', async (_name, damage, problem) => {
    const dir = newFolder()
    const first = await processOf(dir)
    await first.write(1, 100)
    await first.pool.close()
    const [segment = ''] = filesIn(dir, '.spill')
    const bytes = readFileSync(segment)
    damage(bytes)
    writeFileSync(segment, bytes)
    const heir = await processOf(dir, { isDown: false })
    await eventually(() => expect(heir.events.at(-1)?.name).toBe('damaged'))
    const { file, problems, lostBytes } = heir.events.at(-1) as unknown as Record<string, string | string[] | number>
    expect((problems as string[]).join()).toMatch(problem)
    expect(readFileSync(file as string)).toEqual(bytes)
    const lost = numbers(1, 100).filter((id) => !heir.ids().includes(id))
    expect([lost.length, lost.length === 0 || (lostBytes as number) > 0]).toEqual([
      problem.source.startsWith('begins') ? 0 : 10,
      true,
    ])
    expect(heir.ids()).toEqual(heir.ids().toSorted((a, b) => a - b))
    expect((await spillFiles(dir, 'shop-1', ['rows/of shop'])).get('rows/of shop')).toMatchObject({ damaged: [file] })
    await heir.pool.close()
    const next = await processOf(dir, { isDown: false })
    expect([next.got, filesIn(dir, '.damaged').length]).toEqual([[], 1])
  })

  it.each([
    ['in a record', 50, 90],
    ['to nothing', Infinity, 0],
  ])('finds a segment that was cut off %s', async (_name, cut, kept) => {
    const dir = newFolder()
    const first = await processOf(dir)
    await first.write(1, 100)
    await first.pool.close()
    const [segment = ''] = filesIn(dir, '.spill')
    truncateSync(segment, Math.max(0, statSync(segment).size - cut))
    const heir = await processOf(dir, { isDown: false })
    await eventually(() => expect(heir.events.at(-1)?.name).toBe('damaged'))
    expect((heir.events.at(-1) as { readonly problems?: string[] } | undefined)?.problems?.join('; ')).toMatch(
      kept > 0 ? /^it is cut off after \d+ of \d+ bytes; record 9 is cut off$/ : /^it is cut off after 0 of \d+ bytes$/,
    )
    expect(heir.ids()).toEqual(numbers(1, kept))
    expect(filesIn(dir, '.damaged')).toHaveLength(1)
  })

  it('finds a segment without its state, and ignores what a killed process had not finished', async () => {
    const dir = newFolder()
    const first = await processOf(dir)
    await first.write(1, 20)
    await first.pool.close()
    const [segment = ''] = filesIn(dir, '.spill')
    appendFileSync(segment, 'PkRc half a record')
    const heir = await processOf(dir)
    await heir.pool.close()
    rmSync(`${filesIn(dir, '.spill')[0]}.state`)
    const last = await processOf(dir, { isDown: false })
    await eventually(() => expect(last.events.map(({ name }) => name)).toContain('damaged'))
    expect(last.ids()).toEqual(numbers(1, 20))
  })

  it('needs a folder that it may use, and a name of its own for each sink', async () => {
    const file = join(newFolder(), 'file')
    writeFileSync(file, '')
    await expect(processOf(file)).rejects.toMatchObject({
      code: 'SINK_FAILED',
      message: expect.stringContaining('Set [sinks] spill_dir to a folder that this process may write') as unknown,
    })
    const { sql, log } = sinkScope()
    const twins = ['a', 'b'].map(() =>
      defineSink({ name: 'twin', on: [[Row, () => {}]], guarantee: 'idempotent', deadLetters: true }),
    )
    await expect(new SinkPool({ env: { sql, log } }).start(twins)).rejects.toThrow('two sinks are named twin')
  })

  it('waits for room, then refuses, and never takes more than its share of the disk', async () => {
    const dir = newFolder()
    const { write, state, pool, ids } = await processOf(dir, {
      rules: { batchSize: 100, spill: { maxBytes: 65_536, wait: '50ms', retryEvery: '20ms' } },
    })
    let failure: unknown
    let id = 1
    while (!failure) {
      await write(id, 100).catch((error: unknown) => (failure = error))
      expect(filesIn(dir, '.spill').reduce((sum, file) => sum + statSync(file).size, 0)).toBeLessThan(70_000)
      id += 100
    }
    expect(failure).toMatchObject({
      code: 'SINK_SPILL_FULL',
      message: expect.stringContaining('of 65536 bytes are taken') as unknown,
    })
    state.isDown = false
    await eventually(() => expect(pool.stats[0]?.spillBytes).toBe(0))
    expect(ids()).toEqual(numbers(1, id - 101))
  })

  it('turns refused rows into dead letters, and drops those that a newer run has overtaken', async () => {
    const dead = await processOf(newFolder(), { error: new Error('no customer') })
    await dead.write(1, 3)
    dead.state.isDown = false
    await eventually(() => expect(dead.dead).toHaveLength(3))
    const stale = await processOf(newFolder(), { error: Object.assign(new Error('stale'), { newerFence: 9 }) })
    await stale.write(1, 3)
    stale.state.isDown = false
    await eventually(() => expect(stale.events.map(({ name }) => name)).toContain('superseded'))
    expect(stale.dead).toEqual([])
  })

  it('opens a sink later whose target is down at the start, and refuses rows that no disk can keep', async () => {
    const opened: boolean[] = []
    const down = { isDown: true }
    const open = async (): Promise<void> => {
      if (down.isDown) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
      opened.push(true)
    }
    const one = await processOf(newFolder(), { isDown: false, rules: { open } as SinkRules })
    await one.write(1, 5)
    expect(one.got).toEqual([])
    down.isDown = false
    await eventually(() => expect(one.ids()).toEqual(numbers(1, 5)))
    expect(opened).toEqual([true])
    const { pool, Rows, state } = await processOf(newFolder())
    state.isDown = true
    const run = await pool.forRun({ rows: Rows }, sinkScope())
    await run.writers['rows']?.write(Note, Object.assign(new Note('a'), { call: () => {} }))
    await expect(run.flush()).rejects.toMatchObject({
      code: 'SINK_FAILED',
      message: expect.stringContaining("can't be stored on disk") as unknown,
    })
    await run.discard()
  })
})
