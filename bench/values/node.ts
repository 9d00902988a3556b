// A node of the benchmark `values`: publishes, watches or updates on request. Each request and each answer is one line.
import { createInterface } from 'node:readline'
import { defineJob, Piko, type PikoOptions } from 'piko'
import { defineShared } from 'piko/sync'
import { z } from 'zod'

const { settings } = JSON.parse(process.argv[2] ?? '{}') as { settings: NonNullable<PikoOptions['settings']> }
const Instant = defineShared({ topic: 'instant', schema: z.number(), initial: 0 })
const Counter = defineShared({ topic: 'counter', schema: z.number(), initial: 0 })
const app = new Piko({ jobs: defineJob({ id: 'none' }, () => {}), settings })
await app.start()
const [instant, counter] = [app.shared(Instant), app.shared(Counter)]

const tell = (line: string): void => void process.stdout.write(`${line}\n`)
/** Milliseconds of the clock that all processes of a machine share. */
const now = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000

const CALLS: Readonly<Record<string, (count: number) => Promise<void>>> = {
  /** Publishes instants, one after the other. */
  publish: async (count) => {
    const beganAt = now()
    for (let done = 0; done < count; done++) await instant.publish(now())
    tell(`published ${instant.version} ${now() - beganAt}`)
  },
  /** Reports how long after its publication each version arrived here, and how often an older version arrived after a newer one. */
  watch: async (last) => {
    const delays: number[] = []
    let newest = 1
    let back = 0
    tell('watching')
    for await (const { value, version } of instant.watch()) {
      if (version > 1) delays.push(now() - value)
      if (version < newest) back += 1
      newest = version
      if (version === last) return tell(`watched ${JSON.stringify({ delays, back, version })}`)
    }
  },
  update: async (count) => {
    await Promise.all(Array.from({ length: count }, () => counter.update((value) => value + 1)))
    tell('updated')
  },
  counter: async () => {
    await counter.refresh()
    tell(`counter ${counter.value}`)
  },
}

tell('ready')
for await (const line of createInterface({ input: process.stdin })) {
  const [call = '', count = '0'] = line.split(' ')
  void CALLS[call]?.(Number(count)).catch((error: unknown) => {
    process.stderr.write(`${call}: ${String(error)}\n`)
    process.exit(1)
  })
}
