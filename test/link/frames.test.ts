import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InFlight } from '../../src/link/carrier/in-flight.ts'
import { ById } from '../../src/link/carrier/by-id.ts'
import { Levels, type Waiting } from '../../src/link/carrier/levels.ts'
import { DATA, type Frame, headerOf, OPEN, sealFrame, smallFrame } from '../../src/link/wire/frame.ts'
import { FrameReader } from '../../src/link/wire/frame-reader.ts'
import { readOpen } from '../../src/link/wire/head.ts'
import { PREFACE_BYTES, readPreface, writePreface } from '../../src/link/wire/preface.ts'
import { isPikoError } from '../../src/errors.ts'

const MAX_FRAME = 4_096

/** All frames in bytes that arrive in pieces of this length. */
function framesIn(bytes: Buffer, piece: number): Frame[] {
  const reader = new FrameReader(MAX_FRAME)
  const frames: Frame[] = []
  for (let at = 0; at < bytes.length; at += piece) {
    reader.push(bytes.subarray(at, at + piece))
    for (let frame = reader.next(); frame; frame = reader.next()) frames.push(frame)
  }
  return frames
}

/** The error of a link, or undefined. Any other error fails the test. */
function linkError(call: () => unknown): string | undefined {
  try {
    call()
    return undefined
  } catch (error) {
    if (isPikoError(error)) return error.code
    throw error
  }
}

const dataFrame = fc
  .record({
    level: fc.integer({ min: 0, max: 3 }),
    message: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    body: fc.uint8Array({ minLength: 1, maxLength: 300 }),
  })
  .map(({ level, message, body }) => Buffer.concat([headerOf(DATA, false, level, message, [body]), body]))

describe('frames', () => {
  it('are the same, however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(dataFrame, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 400 }),
        (all, piece) => {
          const found = framesIn(Buffer.concat(all), piece)
          expect(
            found.map(({ body, level, message }) =>
              Buffer.concat([headerOf(DATA, false, level, message, [body]), body]),
            ),
          ).toEqual(all)
        },
      ),
      { numRuns: 100 },
    )
  })

  it('are never accepted with a changed byte, and a wrong length is noticed before more bytes arrive', () => {
    const frame = smallFrame(CREDIT, 5, Buffer.from([0, 0, 1, 0]))
    for (let at = 0; at < frame.length; at++)
      for (const bit of [1, 0x10, 0x80, 0xff]) {
        const changed = Buffer.from(frame)
        changed[at] = (changed[at] as number) ^ bit
        expect(linkError(() => framesIn(changed, frame.length))).toBe('LINK_BROKEN')
      }
  })

  it('in random bytes give an error of the link or nothing', () => {
    const odd: unknown[] = []
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 50 }), (bytes, piece) => {
        const body = Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes])
        const preface = Buffer.concat([Buffer.from('PIKOLINK'), bytes, Buffer.alloc(60)]).subarray(0, PREFACE_BYTES)
        const codes = [
          linkError(() => framesIn(Buffer.from(bytes), piece)) ?? 'LINK_BROKEN',
          linkError(() => readOpen(body, MAX_FRAME)) ?? 'LINK_BROKEN',
          linkError(() => readPreface(preface)),
        ]
        if (codes.some((code) => code !== 'LINK_BROKEN')) odd.push(codes)
      }),
      { numRuns: 10_000 },
    )
    expect(odd).toEqual([])
  })

  it('refuse heads that are not valid heads', () => {
    const heads = ['null', '[]', '{}', '{"kind":"request","type":"json"}', '{"kind":"reply","type":"raw","of":0}']
    heads.push(
      '{"kind":"event","route":"x","type":"xml"}',
      '{"kind":"request","route":"/","type":"json","headers":{"a":1}}',
    )
    heads.push('{"kind":"request","route":"/","type":"json","deadlineMs":-1}', '{"__proto__":{"kind":"event"}}', '{')
    for (const head of heads) {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(head.length)
      expect(linkError(() => readOpen(Buffer.concat([length, Buffer.from(head)]), MAX_FRAME))).toBe('LINK_BROKEN')
    }
    expect(linkError(() => framesIn(sealFrame(Buffer.alloc(20), OPEN, true, 0, 1), 20))).toBe('LINK_BROKEN')
  })

  it('begin with a preface that keeps its values', () => {
    const preface = {
      version: 1,
      hasSecret: true,
      role: 'dial' as const,
      maxFrame: 1_024,
      window: 65_536,
      maxOpen: 7,
      nodeId: Buffer.alloc(16, 1),
      nonce: Buffer.alloc(16, 2),
    }
    expect(readPreface(writePreface(preface))).toEqual(preface)
    expect(linkError(() => readPreface(writePreface({ ...preface, maxFrame: 1 })))).toBe('LINK_BROKEN')
  })
})

const CREDIT = 4

describe('the order of pieces', () => {
  const waiting = (name: string, level: number): Waiting & { readonly name: string } => ({
    name,
    level,
    place: undefined,
  })

  it('is the highest level first, in turn, but every sixteenth is of the lowest', () => {
    const levels = new Levels<ReturnType<typeof waiting>>()
    const sent: string[] = []
    for (const item of [waiting('a', 0), waiting('b', 0), waiting('z', 3)]) levels.add(item)
    for (let piece = 0; piece < 160; piece++) {
      const next = levels.take(() => true)
      sent.push(next?.name ?? '')
      if (next) levels.add(next)
    }
    expect(sent.filter((name) => name === 'z')).toHaveLength(10)
    expect(sent.slice(0, 4)).toEqual(['a', 'b', 'a', 'b'])
    expect(Math.abs(sent.filter((name) => name === 'a').length - 75)).toBeLessThan(2)
  })

  it('gives nothing if the level may not go, and forgets what was removed', () => {
    const levels = new Levels<Waiting>()
    const bulk = waiting('bulk', 2)
    levels.add(bulk)
    levels.add(bulk)
    expect(levels.take((level) => level === 0)).toBeUndefined()
    levels.remove(bulk)
    expect(levels.take(() => true)).toBeUndefined()
    expect(levels.waiting).toEqual([0, 0, 0, 0])
  })
})

describe('open messages by their ids', () => {
  it('are found as in a Map, also those that stay open after many newer ones', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 900 }), (closes) => {
        const [byId, map] = [new ById<{ id: number }>(), new Map<number, { id: number }>()]
        for (const [index, close] of closes.entries()) {
          const message = { id: index * 2 + 1 }
          byId.add(message)
          map.set(message.id, message)
          // Most end soon, some much later.
          const ended = close < 8 ? message.id - close * 2 : message.id - close * 90
          byId.delete(ended)
          map.delete(ended)
        }
        expect(byId.size).toBe(map.size)
        expect(new Set(byId.all())).toEqual(new Set(map.values()))
        for (let id = 1; id <= closes.length * 2; id++) expect(byId.get(id)).toBe(map.get(id))
      }),
      { numRuns: 30 },
    )
  })
})

describe('the bytes under way', () => {
  /** A line of this many bytes per millisecond with a way of 2 ms. @returns the wait in ms at the end */
  function waitOn(line: number, forMs: number): number {
    const flight = new InFlight(8_388_608)
    let queued = 0
    let lastWait = 0
    const arrivals: { atMs: number; bytes: number }[] = []
    let freeAtMs = 0
    for (let nowMs = 0; nowMs < forMs; nowMs++) {
      while (flight.bytes < flight.limit) {
        flight.sent(65_536, nowMs)
        queued += 65_536
        freeAtMs = Math.max(freeAtMs, nowMs) + 65_536 / line
        arrivals.push({ atMs: freeAtMs + 2, bytes: 65_536 })
        lastWait = freeAtMs - nowMs
      }
      while (arrivals[0] && arrivals[0].atMs <= nowMs) flight.received(arrivals.shift()?.bytes ?? 0, nowMs)
    }
    expect(queued).toBeGreaterThan(line * forMs * 0.6)
    return lastWait
  }

  it('wait for tens of milliseconds on a slow and on a fast line, which stays busy', () => {
    expect(waitOn(20_000, 5_000)).toBeLessThan(45)
    expect(waitOn(200_000, 2_000)).toBeLessThan(60)
    // A line so slow that one write takes longer.
    expect(waitOn(1_000, 5_000)).toBeLessThan(140)
  })

  it('are measured by the last small message, not by older ones', () => {
    const flight = new InFlight(8_388_608)
    flight.sent(40_000, 0)
    flight.received(40_000, 1)
    const before = flight.limit
    for (let at = 1; at < 34; at++) for (let piece = 0; piece < 100; piece++) flight.sent(10, at * 200 + piece)
    flight.received(33_000, 6_701)
    expect(flight.bytes).toBe(0)
    expect(flight.limit).toBeGreaterThanOrEqual(before)
  })
})
