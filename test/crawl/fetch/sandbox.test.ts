import { afterAll, describe, expect, it, vi } from 'vitest'
import { sandbox } from '../../../src/crawl/sandbox/sandbox.ts'
import { closeOffload } from '../../../src/offload/pools.ts'
import { rejected } from '../../support/thrown.ts'

afterAll(() => closeOffload())

describe('a sandbox', () => {
  it('calls a function of a source with JSON values', async () => {
    const source =
      'const sign = (path, { key }) => ({ path, sum: [...key].reduce((sum, c) => sum + c.charCodeAt(0), 0) })'
    expect(await sandbox.call(source, 'sign', ['/a', { key: 'ab' }])).toEqual({ path: '/a', sum: 195 })
    expect(await sandbox.call('var api = { v1: { two: () => 2 } }', 'api.v1.two')).toBe(2)
    expect(await sandbox.call('let a = 20; a + 22')).toBe(42)
    expect(await sandbox.call('undefined')).toBeUndefined()
    expect(await sandbox.call('async function later(x) { await null; return x + 1 }', 'later', [1])).toBe(2)
  })

  it('ends an endless loop and a greedy source in its time and memory, and the next call works', async () => {
    for (const [source, code] of [
      ['while(true){}', 'SANDBOX_TIMEOUT'],
      ['/(a+)+$/.test("a".repeat(40) + "b")', 'SANDBOX_TIMEOUT'],
      ['const f = async () => { for (;;) await null }; f()', 'SANDBOX_TIMEOUT'],
      ['"x".repeat(2 ** 29)', 'SANDBOX_MEMORY'],
      ['let s = "x"; for (;;) s += s', 'SANDBOX_MEMORY'],
      ['JSON.stringify = () => "{}"; Promise.prototype.then = 1; const f = () => f(); f()', 'SANDBOX_FAILED'],
    ] as const) {
      expect((await rejected(sandbox.call(source, undefined, [], { timeout: '500ms' }))).code, source).toBe(code)
      expect(await sandbox.call('1 + 1', undefined, [], { timeout: '1m' })).toBe(2)
    }
    for (const source of ['new Array(1e9).fill(0)', 'let a = []; for (;;) a.push(new Uint8Array(1e6))'])
      expect((await rejected(sandbox.call(source, undefined, [], { timeout: '500ms' }))).code).toMatch(
        /^SANDBOX_(TIMEOUT|MEMORY)$/,
      )
    expect(await sandbox.call('1 + 1', undefined, [], { timeout: '1m' })).toBe(2)
  })

  it('ends in its time although the clock of the machine goes back', async () => {
    const ahead = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 3_600_000)
    const endless = sandbox.call('while(true){}', undefined, [], { timeout: '300ms' })
    ahead.mockRestore()
    expect((await rejected(endless)).code).toBe('SANDBOX_TIMEOUT')
  })

  it('has no access to the process, the network, the time or an earlier call', async () => {
    const names = ['process', 'require', 'fetch', 'setTimeout', 'Date', 'WebAssembly', 'performance', 'console', 'leak']
    await sandbox.call('globalThis.leak = 1; Object.prototype.polluted = 1')
    const source = `[${names.map((name) => `typeof ${name}`).join()}, new Function('return typeof process')(), ({}).polluted ?? 'none']`
    expect(await sandbox.call(source)).toEqual([...names.map(() => 'undefined'), 'undefined', 'none'])
  })

  it('sees the time that it is given, and no other', async () => {
    const source = `[Date.now(), new Date().toISOString(), new Date(0).getTime(), new Date().constructor.now(),
      typeof Date(), Date.UTC(2026, 0), new (Object.getPrototypeOf(Object.getPrototypeOf(new Date(5))).constructor)() + '']`
    expect(await sandbox.call(source, undefined, [], { now: '2026-01-02T00:00:00Z' })).toEqual([
      1767312000000, '2026-01-02T00:00:00.000Z', 0, 1767312000000, 'string', 1767225600000, '[object Object]',
    ]) // prettier-ignore
  })

  it('reports what the source throws, and what it can’t return', async () => {
    const failed = await rejected(sandbox.call('const f = () => { throw new TypeError("bad") }', 'f'))
    expect([failed.code, failed.message]).toEqual(['SANDBOX_FAILED', 'f() threw TypeError: bad'])
    for (const [source, message] of [
      ['throw { name: "Own", message: "m" }', 'the source threw Own: m'],
      ['throw null', 'the source threw Error: it threw null'],
      ['let x = {; }', 'the source threw SyntaxError: '],
      ['new Promise(() => {})', 'the source returned a promise that never settles'],
      ['Promise.reject(new Error("later"))', 'the source threw Error: later'],
      ['const a = {}; a.a = a; a', 'the source threw TypeError: circular'],
      ['({ get x() { throw new RangeError("no") } })', 'the source threw RangeError: no'],
    ] as const) {
      const { code, message: text } = await rejected(sandbox.call(source))
      expect([code, text.startsWith(message) || text]).toEqual(['SANDBOX_FAILED', true])
    }
    expect((await rejected(sandbox.call('1', 'missing'))).message).toBe(
      "missing() threw ReferenceError: 'missing' is not defined",
    )
  })

  it('names every wrong argument', async () => {
    const wrong = await rejected(
      sandbox.call(1 as never, 'a b', [], { timeout: 'soon' as never, memory: '1KB', nowMs: 1 } as never),
    )
    expect(wrong.code).toBe('USAGE')
    expect(wrong.details['problems']).toHaveLength(5)
    expect((await rejected(sandbox.call('1', 'f', [1n]))).message).toContain('args is')
  })
})
