/** Builds the package: declarations by tsc, JavaScript by esbuild, the dashboard by Vite. */
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { bundle, OUT, ROOT } from './bundle.ts'
import { buildDashboard } from './dashboard.ts'

rmSync(OUT, { recursive: true, force: true })
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
execFileSync(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.build.json')], { stdio: 'inherit' })
await bundle()
await buildDashboard()
