import { fail } from '../../../support/failure';
import type { LayoutName } from '../../../../config/migration-schema';
import { diesel } from './diesel';
import { drizzle } from './drizzle';
import { flat } from './flat';
import { flyway } from './flyway';
import { golangMigrate } from './golang-migrate';
import type { Folder, Layout } from './layout';
import { prisma } from './prisma';
import { supabase } from './supabase';

const LAYOUTS: Record<LayoutName, Layout> = {
  flat,
  diesel,
  'golang-migrate': golangMigrate,
  prisma,
  drizzle,
  supabase,
  flyway,
};

/** The layout of a folder: as configured, else as its files show. Throws InvalidInput where they show several. */
export function layoutOf(folder: Folder, configured: LayoutName | 'auto'): Layout {
  if (configured !== 'auto') return LAYOUTS[configured];
  const signs = Object.entries(LAYOUTS).flatMap(([name, layout]) => {
    const sign = layout.signOf(folder);
    return sign === undefined ? [] : [{ name, layout, sign }];
  });
  // The files that Drizzle's journal lists are called like flat ones.
  const seen = signs.some(({ name }) => name === 'drizzle')
    ? signs.filter(({ name }) => name !== 'flat')
    : signs;
  if (seen.length > 1)
    throw fail(
      'InvalidInput',
      `The migrations directory could be ${seen.map(({ name, sign }) => `${name} (${sign})`).join(' or ')}. Say which: \`migrations.layout\`.`,
    );
  return seen[0]?.layout ?? flat;
}
