import { defineConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

/** Tests that need a Chromium, which not every machine has. */
export default defineConfig({
  ...base,
  test: { ...base.test, include: ['test/browser/**/*.test.ts'], exclude: [], globalSetup: [] },
})
