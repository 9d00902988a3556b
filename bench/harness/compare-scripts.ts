import { dirname } from 'node:path'
import { rmSync } from 'node:fs'
import { compare } from './compare.ts'
import type { Contestant } from './contestants.ts'
import type { Options } from './options.ts'
import { runScript } from './script.ts'

/** Compares contestants whose modules are scripts with their own measurements. */
export async function compareScripts(
  bench: string,
  scene: string,
  options: Options,
  contestants: readonly Contestant[],
): Promise<void> {
  await compare({ bench, scene, options, contestants }, async ({ module, server, options: config }, servers) => {
    const dsn = await (await servers.get(server)).dsn()
    try {
      return await runScript(module, { ...config, dsn })
    } finally {
      if (server === 'file') rmSync(dirname(dsn), { recursive: true, force: true })
    }
  })
}
