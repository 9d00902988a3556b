import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { startGuard } from '../src/guard-thread.ts'

const folder = mkdtempSync(join(tmpdir(), 'piko-guard-'))
const base = pathToFileURL(join(folder, 'base.ts')).href
const GUARD = `
import { threadId } from 'node:worker_threads'
export function guard(port, data) {
  port.on('message', (word) => {
    if (word === 'throw') throw new Error('thrown in the thread')
    port.postMessage([threadId, data, word])
  })
}`
writeFileSync(join(folder, 'one.ts'), GUARD)
writeFileSync(join(folder, 'two.ts'), GUARD)
afterAll(() => rmSync(folder, { recursive: true }))

/** A guard, and the error that ends its thread. */
function guarded(
  name: string,
  data: unknown,
): { ask(word: string): Promise<unknown[]>; end(): void; failed: Promise<Error> } {
  const failed = Promise.withResolvers<Error>()
  const { port, end } = startGuard(name, base, data, failed.resolve)
  const ask = async (word: string): Promise<unknown[]> => {
    const reply = once(port, 'message')
    port.postMessage(word)
    const [answer] = (await reply) as [unknown[]]
    return answer
  }
  return { ask, end, failed: failed.promise }
}

describe('the guard thread', () => {
  it('is one for all modules, and continues for the others when one ends', async () => {
    const [one, two] = [guarded('one', 1), guarded('two', 'b')]
    const [thread, ...rest] = await one.ask('x')
    expect(rest).toEqual([1, 'x'])
    expect(await two.ask('y')).toEqual([thread, 'b', 'y'])
    one.end()
    expect(await two.ask('z')).toEqual([thread, 'b', 'z'])
    two.end()
  })

  it('only closes the port of a task that may fail, if its module can not be loaded or throws', async () => {
    writeFileSync(join(folder, 'throws.ts'), `export function guard() { throw new Error('no disk') }`)
    const one = guarded('one', 1)
    const [thread] = await one.ask('x')
    for (const name of ['absent', 'throws']) {
      const { port } = startGuard(name, base, undefined)
      port.ref()
      await once(port, 'close')
    }
    expect(await one.ask('y')).toEqual([thread, 1, 'y'])
    one.end()
  })

  it('tells all of its modules when one throws, and the next one gets a new thread', async () => {
    const [one, two] = [guarded('one', 1), guarded('two', 2)]
    const [before] = await two.ask('x')
    void one.ask('throw')
    expect((await one.failed).message).toBe('thrown in the thread')
    expect((await two.failed).message).toBe('thrown in the thread')
    const next = guarded('two', 3)
    const [after] = await next.ask('x')
    expect(after).not.toBe(before)
    next.end()
  })

  it('reports a module that does not exist', async () => {
    expect((await guarded('missing', 1).failed).message).toMatch(/missing\.ts/)
  })
})
