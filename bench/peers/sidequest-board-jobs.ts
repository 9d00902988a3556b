import { Job } from 'sidequest'
import { setTimeout as sleep } from 'node:timers/promises'

/** Sidequest loads these classes by the path of this file. */
export class SyncOrders extends Job {
  run({ day }: { readonly day: string }): { rows: number } {
    if (day === '2026-01-05' || day === '2026-01-07') throw new Error('the shop has no data')
    return { rows: 24 }
  }
}

export class Endless extends Job {
  run(): Promise<void> {
    return sleep(3_600_000)
  }
}
