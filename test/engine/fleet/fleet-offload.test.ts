import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { offload } from '../../../src/offload/offload.ts'
import { offloadPool } from '../../../src/offload/pools.ts'
import type { OpenOptions } from '../../../src/store/connection/database.ts'
import { eventually, startApp, testSettings } from '../../support/app.ts'
import { createMysqlDatabase } from '../../support/databases.ts'
import { WorkerProcess } from '../../support/worker-process.ts'

interface Tasks {
  work(n: number, ms: number): Promise<{ readonly n: number; readonly pid: number }>
  fails(): never
  count(to: number): Generator<number>
  when(at: Date, bytes: Uint8Array): { readonly at: Date; readonly bytes: Uint8Array }
}

const HELPER = 'export const pid = process.pid\n'
const MODULE = `
import { pid } from './helper.mjs'
export async function work(n, ms) {
  await new Promise((resolve) => setTimeout(resolve, ms))
  return { n, pid }
}
export function fails() { throw Object.assign(new TypeError('not today'), { code: 'E_TODAY' }) }
export function* count(to) { for (let n = 0; n < to; n++) yield n }
export const when = (at, bytes) => ({ at, bytes })
`

/** The same program in another folder, as on another machine. */
function program(helper = HELPER): string {
  const folder = mkdtempSync(join(tmpdir(), 'piko-fleet-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'helper.mjs'), helper)
  writeFileSync(join(folder, 'tasks.mjs'), MODULE)
  return join(folder, 'tasks.mjs')
}

describe("offload with on: 'fleet'", () => {
  let options: OpenOptions
  beforeAll(async () => {
    const database = await createMysqlDatabase()
    options = { mysql: database.options }
    return () => database.drop()
  })
  const start = async () => {
    const pool = offloadPool({ name: 'of-the-fleet', size: 1 })
    const tasks = offload<Tasks>(pathToFileURL(program()), { on: 'fleet', pool })
    await startApp(options, [])
    return { tasks }
  }
  const neighbour = async (helper?: string): Promise<{ node: WorkerProcess; pid: number }> => {
    const settings = testSettings(options)
    const node = new WorkerProcess({ module: program(helper), settings }, 'engine/fleet-node')
    await node.told('READY')
    return { node, pid: Number(node.lines[0]!.split(' ')[1]) }
  }

  it('idle nodes take calls; when one is killed in the middle, every call still ends once', async () => {
    const { tasks } = await start()
    const { node, pid } = await neighbour()
    const ended: { n: number; pid: number }[] = []
    const calls = Array.from({ length: 40 }, async (_, n) => void ended.push(await tasks.work(n, 150)))
    await eventually(() => expect(ended.filter((one) => one.pid === pid).length).toBeGreaterThan(3))
    await node.kill()
    await Promise.all(calls)
    expect(ended.map(({ n }) => n).sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, n) => n))
    expect(new Set(ended.map((one) => one.pid))).toEqual(new Set([pid, process.pid]))
  })

  it('moves values, errors and aborts as a call here does', async () => {
    const { tasks } = await start()
    const { pid } = await neighbour()
    const busy = tasks.work(0, 2_000)
    expect(await tasks.work(1, 1)).toEqual({ n: 1, pid })
    const [at, bytes] = [new Date(0), new Uint8Array([1, 2, 3])]
    expect(await tasks.when(at, bytes)).toMatchObject({ at, bytes: expect.objectContaining({ length: 3 }) as unknown })
    await expect(tasks.fails()).rejects.toMatchObject({ name: 'TypeError', code: 'E_TODAY', message: 'not today' })
    const stop = new AbortController()
    const aborted = tasks.$with({ signal: stop.signal }).work(2, 600_000)
    const reason = new Error('no longer wanted')
    setTimeout(() => stop.abort(reason), 50)
    await expect(aborted).rejects.toBe(reason)
    const items: number[] = []
    for await (const item of tasks.count(3)) items.push(item)
    expect(items).toEqual([0, 1, 2])
    expect((await busy).pid).toBe(process.pid)
  })

  it('a node with another version of a file that the module imports is refused by its hash', async () => {
    const { tasks } = await start()
    await neighbour('export const pid = -1\n')
    const warned = new Promise<string>((resolve) => {
      const listen = (warning: Error): void => {
        if (warning.name === 'PikoOffloadWarning') resolve(warning.message)
      }
      process.on('warning', listen)
      onTestFinished(() => void process.off('warning', listen))
    })
    const calls = await Promise.all(Array.from({ length: 4 }, (_, n) => tasks.work(n, 300)))
    expect(new Set(calls.map(({ pid }) => pid))).toEqual(new Set([process.pid]))
    expect(await warned).toMatch(/^node \S+ refuses calls of tasks\.mjs: it has another version/)
  })
})
