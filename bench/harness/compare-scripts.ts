import { dirname } from 'node:path'
import { rmSync } from 'node:fs'
import { type Contestant } from './contestants.ts'
import { type Options } from './options.ts'
import { prepare } from './prepare.ts'
import { alternate } from './rounds.ts'
import { runScript } from './script.ts'
import { Servers } from './servers.ts'
import { table } from './table.ts'

/** As `compare`, of contestants whose modules are scripts that measure by themselves. */
export async function compareScripts(
  bench: string,
  scene: string,
  options: Options,
  contestants: readonly Contestant[],
): Promise<void> {
  await prepare(contestants)
  await using servers = new Servers()
  await alternate({
    bench,
    scene,
    lines: options.lines,
    repeat: options.repeat,
    contestants,
    measure: async ({ module, server, options: config }) => {
      const dsn = await (await servers.get(server)).dsn()
      try {
        return await runScript(module, { ...config, dsn })
      } finally {
        if (server === 'file') rmSync(dirname(dsn), { recursive: true, force: true })
      }
    },
  })
  const { all } = options.lines
  process.stderr.write(`\n${table(all.filter((line) => line.bench === bench && line.scene === scene))}\n`)
}
