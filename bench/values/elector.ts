import { setTimeout as sleep } from 'node:timers/promises'
import { Piko } from 'piko'
import { NodeProcess } from '../harness/node-process.ts'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from '../scripts/about.ts'

const PROCESSES = 3
const FREEZES = 5
const LOOK_MS = 20

/** An instant, in nanoseconds of the clock that all processes share, at which a process knew that it led. */
interface Led {
  readonly process: number
  readonly epoch: number
  readonly at: bigint
}

/**
 * Three processes elect a leader. The leader is stopped by SIGSTOP, and continues when another process leads. Checks that no two processes
 * led at the same instant.
 */
export default async function valuesElector(config: SystemConfig): Promise<Found> {
  const settings = { piko: { log_level: 'silent' }, ...storeSettings(config) }
  const client = new Piko({ jobs: [], execute: false, settings })
  await client.start()
  const about = await aboutPiko(client, config)
  await client.stop()
  await using all = new AsyncDisposableStack()
  const starting = Array.from({ length: PROCESSES }, () =>
    NodeProcess.start(new URL('candidate.ts', import.meta.url), { settings }),
  )
  const processes = (await Promise.all(starting)).map((one) => all.use(one))
  const waits: number[] = []
  let leader = await nextLeader(processes, 0)
  for (let freeze = 0; freeze < FREEZES; freeze++) {
    const frozenAt = process.hrtime.bigint()
    processes[leader.process]?.signal('SIGSTOP')
    const next = await nextLeader(processes, leader.epoch)
    waits.push(Number(next.at - frozenAt) / 1e6)
    processes[leader.process]?.signal('SIGCONT')
    leader = next
  }
  await sleep(1_000) // Lets the process that was stopped last read its clock again.
  const terms = termsOf(ledBy(processes))
  const overlaps = terms.filter((term, index) => index > 0 && term.from <= (terms[index - 1]?.to ?? 0n)).length
  const shrinking = terms.filter((term, index) => index > 0 && term.epoch <= (terms[index - 1]?.epoch ?? 0)).length
  return {
    about,
    values: {
      terms: { value: terms.length, unit: 'terms' },
      'terms that overlap': { value: overlaps, unit: 'terms' },
      'terms whose epoch did not grow': { value: shrinking, unit: 'terms' },
      'instants checked': { value: ledBy(processes).length, unit: 'instants' },
      'time from SIGSTOP to the next leader, maximum': { value: Math.max(...waits), unit: 'ms' },
    },
    settings: { processes: PROCESSES, freezes: FREEZES, ttl: '1s' },
  }
}

async function nextLeader(processes: readonly NodeProcess[], after: number): Promise<Led> {
  for (;;) {
    const found = ledBy(processes).find(({ epoch }) => epoch > after)
    if (found) return found
    await sleep(LOOK_MS)
  }
}

function ledBy(processes: readonly NodeProcess[]): Led[] {
  return processes.flatMap(({ lines }, process) =>
    lines
      .filter((line) => line.startsWith('leads '))
      .map((line) => {
        const [, epoch, at] = line.split(' ')
        return { process, epoch: Number(epoch), at: BigInt(at ?? '0') }
      }),
  )
}

/** The terms in the order of time. Each epoch belongs to one process. */
function termsOf(led: readonly Led[]): { epoch: number; from: bigint; to: bigint }[] {
  return [...Map.groupBy(led, ({ epoch, process }) => `${epoch} of ${process}`).values()]
    .map((instants) => {
      const times = instants.map(({ at }) => at).sort((one, other) => (one < other ? -1 : 1))
      return { epoch: instants[0]?.epoch ?? 0, from: times[0] ?? 0n, to: times.at(-1) ?? 0n }
    })
    .sort((one, other) => (one.from < other.from ? -1 : 1))
}
