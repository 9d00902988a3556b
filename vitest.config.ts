import { transform } from 'esbuild'
import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin } from 'vitest/config'
import { LongestFirst } from './test/support/longest-first.ts'
import { PATIENCE_MS } from './test/support/patience.ts'
import { packedAliases, packLibraries } from './test/support/packed.ts'

/** Vite's own TypeScript transform leaves decorators as they are, and Node cannot run them yet. */
function lowerDecorators(): Plugin {
  const ours = /\/(?:src|test|examples)\/[^?]*\.ts$/
  const decorator = /^\s*@\w/m
  return {
    name: 'piko:lower-decorators',
    enforce: 'pre',
    async transform(code, id) {
      if (!ours.test(id) || !decorator.test(code)) return undefined
      const result = await transform(code, { loader: 'ts', target: 'es2022', sourcefile: id, sourcemap: true })
      return { code: result.code, map: result.map }
    },
  }
}

// Many tests start processes of their own: what one has compiled, the next one need not compile again.
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(new URL('node_modules/.cache/compiled', import.meta.url))

await packLibraries()

export default defineConfig({
  plugins: [lowerDecorators()],
  resolve: { alias: packedAliases },
  // The package's own name means its sources, as in tsconfig's customConditions; the rest are Vite's defaults.
  ssr: { resolve: { conditions: ['piko-source', 'module', 'node', 'development|production'] } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/fixtures/**', 'test/cluster/**', 'test/browser/**'],
    globalSetup: [
      'test/support/mysql-global-setup.ts',
      'test/support/sqlite-global-setup.ts',
      'test/support/built-global-setup.ts',
    ],
    pool: 'forks',
    // Loading the sources costs each file a second of processor. A test leaves nothing behind that the next file could notice.
    isolate: false,
    // Three for each processor of the smallest machine: most of the time, a test waits for leases, processes and the disk.
    maxWorkers: 6,
    sequence: { sequencer: LongestFirst },
    // Only a hang fails a test: on a machine with other work each takes many times as long as alone.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    teardownTimeout: 120_000,
    expect: { poll: { timeout: PATIENCE_MS } },
  },
})
