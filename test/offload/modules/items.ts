import { setTimeout as sleep } from 'node:timers/promises'

export interface Item {
  readonly value: number
  readonly does?: 'throw' | 'exit' | 'loop' | 'secret'
}

/** `seen` counts the calls. */
export async function square({ value, does }: Item): Promise<number> {
  if (does === 'throw') throw new RangeError(`no ${value}`)
  if (does === 'exit') process.exit(4)
  if (does === 'loop') for (;;);
  if (does === 'secret') return (() => value) as unknown as number
  await Promise.resolve()
  return value * value
}

export function text(value: number): string {
  return `${value},`
}

export function join(a: string, b: string): string {
  return a + b
}

/** Answers, and does harm later: from a timer, so the thread may work for another call by then. */
export function harmLater(kind: 'exit' | 'loop' | 'throw' | 'reject' | 'devour'): string {
  setTimeout(() => {
    if (kind === 'exit') process.exit(7)
    if (kind === 'loop') for (;;);
    if (kind === 'throw') throw new Error('late')
    if (kind === 'devour') for (const kept: unknown[] = []; ;) kept.push(new Array(1e6).fill(1))
    void Promise.reject(new Error('late'))
  }, 1)
  return 'answered'
}

export async function innocent(ms: number): Promise<string> {
  await sleep(ms)
  return 'innocent'
}

export function loop(): never {
  for (;;);
}

export function devourList(): never {
  for (const kept: unknown[] = []; ;) kept.push(new Array(1e7).fill(1))
}
