/** Builds the package: declarations by TypeScript 7, JavaScript by esbuild, the dashboard by Vite. */
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { bundle, OUT, ROOT } from './bundle.ts'
import { buildDashboard } from './dashboard.ts'

rmSync(OUT, { recursive: true, force: true })
const tsc = join(ROOT, 'node_modules/typescript-native/bin/tsc')
execFileSync(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.build.json')], { stdio: 'inherit' })
await bundle()
await buildDashboard()
