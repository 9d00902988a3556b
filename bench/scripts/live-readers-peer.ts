// Readers of events in a process of their own. Its argument is a `ReadersOrder`; it prints `ready`, and `found` with what it has seen.
import { get, type IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ReadersOrder {
  readonly url: string
  readonly readers: number
  readonly seconds: number
}

export interface ReadersFound {
  /** The number of events of each reader that never stopped; the smallest, if they differ. */
  readonly events: number
  readonly bytes: number
  readonly lost: number
  readonly twice: number
  /** The number of ended runs that the first reader has seen. */
  readonly ends: number
  readonly reconnections: number
  /** How long after it stopped the last stopped reader was cut off, in milliseconds; null: it never was. */
  readonly cutMs: number | null
}

const order = JSON.parse(process.argv[2] ?? '{}') as ReadersOrder

/** One in ten loses its connection again and again; one in a hundred stops reading. */
const LOSING = Math.ceil(order.readers / 10)
const STOPPING = Math.ceil(order.readers / 100)
const STOP_AFTER_MS = 2_000
const LOOK_MS = 500
const QUIET_MS = 3_000
const EVENT = Buffer.from('\ndata: {"id":')
const OPEN = Buffer.from('event: open\nid: ')
const ENDED = Buffer.from('"state":"succeeded"')

let bytes = 0
let reconnections = 0
let live = 0

/** A reader that checks the ids of its events without parsing them: 200 readers share one processor with the server. */
class Reader {
  last: number | undefined
  events = 0
  lost = 0
  twice = 0
  ends = 0
  readonly #countsEnds: boolean
  #response: IncomingMessage | undefined
  #isLive = false
  #rest: Buffer = Buffer.alloc(0)

  constructor(countsEnds: boolean) {
    this.#countsEnds = countsEnds
  }

  /** Resolves when the stream is open. */
  async connect(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const headers = this.last === undefined ? {} : { 'last-event-id': String(this.last) }
    const request = get(`${order.url}/api/v1/events`, { headers, agent: false })
    request.on('error', reject).on('response', (response: IncomingMessage) => {
      this.#response = response
      this.#rest = Buffer.alloc(0)
      live += 1
      this.#isLive = true
      response.on('data', (chunk: Buffer) => {
        this.#read(chunk)
        resolve()
      })
      response.on('error', () => {}).on('close', () => this.#left())
    })
    await promise
  }

  /** Loses the connection. */
  lose(): void {
    this.#response?.destroy()
  }

  /** Takes nothing any more. Its socket stays open. */
  stop(): void {
    this.#response?.pause()
    this.#left()
  }

  #left(): void {
    if (this.#isLive) live -= 1
    this.#isLive = false
  }

  #read(chunk: Buffer): void {
    bytes += chunk.length
    const text = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    // The last message may be incomplete.
    const end = text.lastIndexOf('\n\n') + 2
    this.#rest = text.subarray(Math.max(end, 0))
    if (end < 2) return
    const whole = text.subarray(0, end)
    if (this.last === undefined) {
      const open = whole.indexOf(OPEN)
      if (open >= 0) this.last = numberAt(whole, open + OPEN.length)
    }
    for (let at = whole.indexOf(EVENT); at >= 0; at = whole.indexOf(EVENT, at + EVENT.length)) {
      const id = numberAt(whole, at + EVENT.length)
      const expected: number = (this.last ?? id - 1) + 1
      if (id > expected) this.lost += id - expected
      if (id < expected) this.twice += 1
      else this.last = id
      this.events += 1
    }
    if (!this.#countsEnds) return
    for (let at = whole.indexOf(ENDED); at >= 0; at = whole.indexOf(ENDED, at + ENDED.length)) this.ends += 1
  }
}

function numberAt(text: Buffer, from: number): number {
  let value = 0
  for (let at = from; at < text.length; at++) {
    const digit = (text[at] ?? 0) - 48
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
  }
  return value
}

/** Loses the connection every few seconds, until `isOver`. */
async function loseOften(reader: Reader, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await sleep(2_000 + Math.random() * 4_000)
    if (isOver()) return
    reader.lose()
    await sleep(100 + Math.random() * 2_000)
    await reader.connect()
    reconnections += 1
  }
}

/** Stops some readers, and waits until the server holds no connection of theirs. */
async function stopSome(readers: readonly Reader[], isOver: () => boolean): Promise<number | null> {
  await sleep(STOP_AFTER_MS)
  for (const reader of readers) reader.stop()
  const began = performance.now()
  while (!isOver()) {
    await sleep(LOOK_MS)
    const response = await fetch(`${order.url}/api/v1/status`)
    const { connections } = (await response.json()) as { connections: number }
    // One is that of this request.
    if (connections - 1 <= live) return performance.now() - began
  }
  return null
}

const readers = Array.from({ length: order.readers }, (_, index) => new Reader(index === 0))
const stopping = readers.slice(-STOPPING)
const losing = readers.slice(1, 1 + LOSING)
const steady = readers.slice(0, -STOPPING)
await Promise.all(readers.map((reader) => reader.connect()))
let isOver = false
const told = { begin: Promise.withResolvers<void>(), end: Promise.withResolvers<void>() }
createInterface({ input: process.stdin })
  .on('line', (line) => told[line as keyof typeof told].resolve())
  .on('close', () => process.exit(1))
console.log('ready')
await told.begin.promise
const work = losing.map((reader) => loseOften(reader, () => isOver))
const cut = stopSome(stopping, () => isOver)
await told.end.promise
isOver = true
await Promise.all(work)
const cutMs = await cut
// The events of the last runs arrive.
for (let seen = -1; seen !== bytes;) {
  seen = bytes
  await sleep(QUIET_MS)
}
const newest = Math.max(...steady.map(({ last = 0 }) => last))
const behind = steady.reduce((total, { last = 0 }) => total + newest - last, 0)
const sum = (of: (reader: Reader) => number): number => steady.reduce((total, reader) => total + of(reader), 0)
const found: ReadersFound = {
  events: Math.min(...steady.map(({ events }) => events)),
  bytes,
  lost: sum(({ lost }) => lost) + behind,
  twice: sum(({ twice }) => twice),
  ends: readers[0]?.ends ?? 0,
  reconnections,
  cutMs,
}
console.log(`found ${JSON.stringify(found)}`)
