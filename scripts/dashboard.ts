import { existsSync, globSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { OUT, ROOT } from './bundle.ts'

const SOURCE = join(ROOT, 'src/dashboard')
const TARGET = join(OUT, 'dashboard')

/**
 * Builds the dashboard into `dist/dashboard`: a page and files whose names contain the hash of their content. Needs no network. Until the
 * build is complete, the one before stays, because a process may be serving it.
 */
export async function buildDashboard(): Promise<void> {
  const made = `${TARGET}-${process.pid}`
  const { build } = await import('vite')
  await build({
    configFile: false,
    root: SOURCE,
    base: '/',
    logLevel: 'warn',
    build: {
      outDir: made,
      emptyOutDir: true,
      target: 'es2023',
      // No data URLs: the policy of the page allows files of its own server only.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
  })
  rmSync(TARGET, { recursive: true, force: true })
  renameSync(made, TARGET)
}

/** Builds the dashboard unless the last build is younger than all of its sources. */
export async function buildStaleDashboard(): Promise<void> {
  const page = join(TARGET, 'index.html')
  const sources = globSync('src/dashboard/**/*.{ts,tsx,css,html,svg}', { cwd: ROOT })
  const changed = Math.max(...sources.map((file) => statSync(join(ROOT, file)).mtimeMs))
  if (!existsSync(page) || statSync(page).mtimeMs < changed) await buildDashboard()
}

if (import.meta.main) await (process.argv.includes('--stale') ? buildStaleDashboard() : buildDashboard())
