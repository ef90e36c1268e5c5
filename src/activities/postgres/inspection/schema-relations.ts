/**
 * Queries of what belongs to a table, a view or a sequence. Each gives an identity, a definition, and apart from it the
 * text that PostgreSQL deparses from a tree: that one comes back from a dump written differently. `$1` is true where the
 * fingerprint is to be compared with that of another database.
 */
export const RELATION_QUERIES = [
  `SELECT 'table ' || r.name, ROW(r.relkind, r.relpersistence, r.relrowsecurity, r.relforcerowsecurity, r.relreplident, r.reloptions,
      toast.reloptions, pg_get_userbyid(r.relowner), am.amname, NULLIF(r.reloftype, 0)::regtype, s.srvname, ${options('f.ftoptions')})::text,
      concat_ws(' ', pg_get_partkeydef(r.oid), pg_get_expr(r.relpartbound, r.oid))
    FROM relations r LEFT JOIN pg_class toast ON toast.oid = r.reltoastrelid LEFT JOIN pg_am am ON am.oid = r.relam
    LEFT JOIN pg_foreign_table f ON f.ftrelid = r.oid LEFT JOIN pg_foreign_server s ON s.oid = f.ftserver
   WHERE r.relkind IN ('r', 'p', 'f')`,
  `SELECT 'inheritance ' || r.name, (SELECT string_agg(inhparent::regclass::text, ',' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = r.oid), NULL
    FROM relations r WHERE r.relkind IN ('r', 'p', 'f', 'i', 'I') AND EXISTS (SELECT FROM pg_inherits WHERE inhrelid = r.oid)`,
  `SELECT format('column %s.%I', r.name, a.attname), ROW(format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
      CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation END, NULLIF(a.attstorage, t.typstorage), a.attcompression,
      NULLIF(a.attstattarget, -1), a.attoptions, ${options('a.attfdwoptions')}, a.attislocal)::text, pg_get_expr(d.adbin, d.adrelid)
    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
   WHERE r.relkind IN ('r', 'p', 'f', 'c') OR r.relkind = 'v' AND d.oid IS NOT NULL
      OR r.relkind = 'm' AND (a.attstattarget >= 0 OR a.attstorage <> t.typstorage OR a.attcompression <> '' OR a.attoptions IS NOT NULL)`,
  // A child that was made before its parent got a column has it at the end; a dump writes the parent's columns first.
  `SELECT 'order of columns ' || r.name, string_agg(quote_ident(a.attname), ',' ORDER BY a.attnum), NULL
    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
   WHERE r.relkind IN ('r', 'p', 'f', 'c')
     AND NOT ($1 AND NOT r.relispartition AND EXISTS (SELECT FROM pg_inherits WHERE inhrelid = r.oid))
   GROUP BY r.name`,
  // Foreign keys of partitions follow from those of their parent and are named anew when they are restored.
  `SELECT format('constraint %s.%I', r.name, k.conname), ROW(k.convalidated, CASE k.contype WHEN 'c' THEN k.connoinherit END, CASE WHEN k.conparentid = 0 THEN k.conislocal END)::text, pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN relations r ON r.oid = k.conrelid WHERE k.contype <> 'f' OR k.conparentid = 0`,
  // A dump leaves out what a failed CREATE INDEX CONCURRENTLY has left.
  `SELECT 'index ' || r.name, ROW(i.indisvalid, i.indisreplident, i.indisclustered,
      (SELECT array_agg(a.attstattarget ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = r.oid AND a.attstattarget >= 0))::text, pg_get_indexdef(r.oid)
    FROM relations r JOIN pg_index i ON i.indexrelid = r.oid WHERE NOT $1 OR i.indisvalid OR r.relkind = 'I'`,
  `SELECT 'view ' || name, ROW(relkind, reloptions, pg_get_userbyid(relowner), relispopulated)::text, pg_get_viewdef(oid)
    FROM relations WHERE relkind IN ('v', 'm')`,
  `SELECT 'sequence ' || r.name, ROW(q.seqtypid::regtype, q.seqstart, q.seqincrement, q.seqmax, q.seqmin, q.seqcache, q.seqcycle,
      pg_get_userbyid(r.relowner), r.relpersistence, (SELECT format('%s.%I', d.refobjid::regclass, a.attname) FROM pg_depend d
        JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
       WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))::text, NULL
    FROM relations r JOIN pg_sequence q ON q.seqrelid = r.oid`,
  `SELECT format('trigger %s.%I', r.name, g.tgname), g.tgenabled::text, pg_get_triggerdef(g.oid)
    FROM pg_trigger g JOIN relations r ON r.oid = g.tgrelid WHERE NOT g.tgisinternal`,
  `SELECT format('rule %s.%I', r.name, w.rulename), w.ev_enabled::text, pg_get_ruledef(w.oid)
    FROM pg_rewrite w JOIN relations r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'`,
  `SELECT format('policy %s.%I', r.name, p.polname), ROW(p.polcmd, p.polpermissive,
      (SELECT string_agg(pg_get_userbyid(role), ',' ORDER BY pg_get_userbyid(role)) FROM unnest(p.polroles) AS role))::text,
      concat_ws(' CHECK ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy p JOIN relations r ON r.oid = p.polrelid`,
  `SELECT format('statistics %I.%I', n.nspname, s.stxname), ROW(pg_get_userbyid(s.stxowner), NULLIF(s.stxstattarget, -1))::text, pg_get_statisticsobjdef(s.oid)
    FROM pg_statistic_ext s JOIN schemas n ON n.oid = s.stxnamespace`,
  `SELECT 'tablespace of ' || r.name, t.spcname::text, NULL FROM relations r JOIN pg_tablespace t ON t.oid = r.reltablespace`,
];

/** Options of foreign objects by name, without the values of what could be a secret. */
export function options(column: string): string {
  return `(SELECT array_agg(CASE WHEN option_name ~* 'pass|secret|token|key|credential' THEN option_name
      ELSE option_name || '=' || option_value END ORDER BY option_name) FROM pg_options_to_table(${column}))`;
}
