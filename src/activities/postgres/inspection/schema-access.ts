/** An access control list as text, the same for lists that say the same. */
function acl(list: string): string {
  return `(SELECT string_agg(entry, ',' ORDER BY entry) FROM (SELECT ROW(CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END,
      pg_get_userbyid(grantor), privilege_type, is_grantable)::text AS entry FROM aclexplode(${list})) AS entries)`;
}

/** Grants of one kind of object. A list that only says what is so without one comes back from a dump as none. */
function grants(identity: string, list: string, kind: string, owner: string, from: string): string {
  return `SELECT ${identity}, ${acl(list)}, NULL FROM ${from} WHERE ${list} IS NOT NULL AND ${acl(list)} IS DISTINCT FROM ${acl(`acldefault(${kind}, ${owner})`)}`;
}

/** What was granted on objects of the system and of extensions, which have their grants from their making. */
function grantsBeyond(identity: string, list: string, catalog: string, from: string): string {
  return `SELECT ${identity}, ${acl('o.' + list)}, NULL FROM ${from} LEFT JOIN pg_init_privs i ON i.objoid = o.oid AND i.classoid = '${catalog}'::regclass AND i.objsubid = 0
   WHERE o.${list} IS NOT NULL AND o.${list} IS DISTINCT FROM i.initprivs
     AND (o.oid < 16384 OR EXISTS (SELECT FROM owned WHERE classid = '${catalog}'::regclass AND objid = o.oid))`;
}

/** Queries of who may do what, of settings and of words, in the same form as those of relations. */
export const ACCESS_QUERIES = [
  grants(`'grant schema ' || quote_ident(nspname)`, 'nspacl', `'n'`, 'nspowner', 'schemas'),
  grants(
    `'grant ' || name`,
    'relacl',
    `CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char"`,
    'relowner',
    'relations',
  ),
  `SELECT format('grant column %s.%I', r.name, a.attname), ${acl('a.attacl')}, NULL
    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND a.attacl <> '{}'`,
  grants(`'grant function ' || name`, 'proacl', `'f'`, 'proowner', 'routines'),
  grants(`'grant type ' || name`, 'typacl', `'T'`, 'typowner', 'types'),
  grants(`'grant language ' || quote_ident(lanname)`, 'lanacl', `'l'`, 'lanowner', 'pg_language'),
  grants(
    `'grant foreign data wrapper ' || quote_ident(fdwname)`,
    'fdwacl',
    `'F'`,
    'fdwowner',
    'pg_foreign_data_wrapper',
  ),
  grants(`'grant server ' || quote_ident(srvname)`, 'srvacl', `'S'`, 'srvowner', 'pg_foreign_server'),
  grants(`'grant database'`, 'datacl', `'d'`, 'datdba', 'here'),
  grantsBeyond(`'grant system ' || o.oid::regclass`, 'relacl', 'pg_class', 'pg_class o'),
  grantsBeyond(`'grant system function ' || o.oid::regprocedure`, 'proacl', 'pg_proc', 'pg_proc o'),
  grantsBeyond(
    `'grant system schema ' || o.nspname`,
    'nspacl',
    'pg_namespace',
    `(SELECT * FROM pg_namespace WHERE nspname <> 'public' AND nspname !~ '^pg_(toast|temp)') o`,
  ),
  `SELECT format('default privileges of %s%s for %s', pg_get_userbyid(d.defaclrole), ' in ' || quote_ident(n.nspname), d.defaclobjtype), ${acl('d.defaclacl')}, NULL
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace`,
  // Of the database itself. A dump has none of it; a restore beside the live database sets it again.
  `SELECT 'database', (to_jsonb(d) - '{oid,datname,datdba,datistemplate,datallowconn,datconnlimit,datlastsysoid,datfrozenxid,datminmxid,dattablespace,datcollversion,datacl,dathasloginevt}'::text[]
      || jsonb_build_object('owner', pg_get_userbyid(d.datdba), 'limit', d.datconnlimit))::text, NULL FROM here d`,
  `SELECT 'tablespace of the database', t.spcname::text, NULL FROM here d JOIN pg_tablespace t ON t.oid = d.dattablespace`,
  `SELECT 'collation version of the database', to_jsonb(d) ->> 'datcollversion', NULL FROM here d WHERE to_jsonb(d) ->> 'datcollversion' IS NOT NULL`,
  `SELECT format('setting %s%s', split_part(item, '=', 1), ' of ' || CASE s.setrole WHEN 0 THEN 'the database' ELSE pg_get_userbyid(s.setrole) END), item, NULL
    FROM here d JOIN pg_db_role_setting s ON s.setdatabase = d.oid, unnest(s.setconfig) AS item`,
  `SELECT format('comment %s %s', i.type, i.identity), d.description, NULL
    FROM pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
   WHERE (d.objoid >= 16384 OR d.classoid = 'pg_namespace'::regclass AND d.objoid = 'public'::regnamespace)
     AND d.classoid <> 'pg_largeobject'::regclass AND i.identity IS NOT NULL AND i.identity !~ '\\mdurable_runbooks\\.'
     AND NOT EXISTS (SELECT FROM owned WHERE classid = d.classoid AND objid = d.objoid)`,
  `SELECT 'comment database', shobj_description(d.oid, 'pg_database'), NULL FROM here d WHERE shobj_description(d.oid, 'pg_database') IS NOT NULL`,
  `SELECT format('security label %s on %s %s', l.provider, i.type, i.identity), l.label, NULL
    FROM pg_seclabel l, pg_identify_object(l.classoid, l.objoid, l.objsubid) i WHERE l.classoid <> 'pg_largeobject'::regclass`,
  `SELECT format('security label %s on database', l.provider), l.label, NULL
    FROM here d JOIN pg_shseclabel l ON l.objoid = d.oid AND l.classoid = 'pg_database'::regclass`,
];
