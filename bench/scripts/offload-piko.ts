import { closeOffload, configureOffload, offload } from 'piko'
import packageJson from 'piko/package.json' with { type: 'json' }
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { measureCalls } from './offload-calls.ts'

export default async function offloadPiko({ threads }: SystemConfig): Promise<Found> {
  configureOffload({ size: Number(threads) })
  const tasks = offload<typeof import('../offload/tasks.ts')>(new URL('../offload/tasks.ts', import.meta.url))
  const values = await measureCalls({
    increment: (value) => tasks.increment(value),
    touch: (buffer, transfer) => (transfer ? tasks.$with({ transfer: [buffer] }).touch(buffer) : tasks.touch(buffer)),
  })
  await closeOffload()
  return { about: { versions: { package: packageJson.version }, settings: { threads } }, values }
}
