-- Create what a table partitioned by time needs: the partitions of the present period and of some
-- to come, and those of rows that had to go to the default partition meanwhile. Gives their names.
CREATE FUNCTION create_partitions(parent regclass, period text, ahead int) RETURNS SETOF text
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    digits text := CASE period WHEN 'hour' THEN 'YYYYMMDDHH24' WHEN 'month' THEN 'YYYYMM' ELSE 'YYYYMMDD' END;
    step interval := ('1 ' || period)::interval;
    overflow regclass;
    key name;
    starts timestamptz[];
    start timestamptz;
    partition name;
    overflowing boolean;
BEGIN
    SELECT nullif(partdefid, 0)::regclass, attname INTO STRICT overflow, key
      FROM pg_partitioned_table
      JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0]
     WHERE partrelid = parent;
    SELECT array_agg(date_trunc(period, now()) + n * step) INTO starts FROM generate_series(0, ahead) AS n;
    IF overflow IS NOT NULL THEN
        EXECUTE format('SELECT $1 || array(SELECT DISTINCT date_trunc($2, %I) FROM %s)', key, overflow)
           INTO starts USING starts, period;
    END IF;
    FOR start IN SELECT DISTINCT unnest(starts) ORDER BY 1 LOOP
        partition := (SELECT relname FROM pg_class WHERE oid = parent) || '_p' || to_char(start, digits);
        CONTINUE WHEN to_regclass(quote_ident(partition)) IS NOT NULL;
        -- Made apart and attached: unlike PARTITION OF, that stops neither readers nor writers.
        EXECUTE format('CREATE TABLE %I (LIKE %s INCLUDING ALL EXCLUDING IDENTITY)', partition, parent);
        IF overflow IS NOT NULL THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I >= $1 AND %I < $2)', overflow, key, key)
               INTO overflowing USING start, start + step;
            IF overflowing THEN
                EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', overflow);
                EXECUTE format('WITH moved AS (DELETE FROM %s WHERE %I >= $1 AND %I < $2 RETURNING *)
                                INSERT INTO %I SELECT * FROM moved', overflow, key, key, partition)
                  USING start, start + step;
            END IF;
        END IF;
        EXECUTE format('ALTER TABLE %s ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       parent, partition, start, start + step);
        RETURN NEXT partition;
    END LOOP;
END $$;

-- Name the partitions that lie wholly before an instant, oldest first, each with its end.
CREATE FUNCTION partitions_before(parent regclass, instant timestamptz)
RETURNS TABLE (partition text, ends timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT *
      FROM (SELECT inhrelid::regclass::text,
                   substring(pg_get_expr(relpartbound, inhrelid) FROM 'TO \(''([^'']+)''\)')::timestamptz
              FROM pg_inherits
              JOIN pg_class ON pg_class.oid = inhrelid
             WHERE inhparent = parent) AS bound (partition, ends)
     WHERE ends <= instant
     ORDER BY ends;
$$;

-- Drop one partition, unless another process did so before.
CREATE FUNCTION drop_partition(partition text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'DROP TABLE IF EXISTS ' || partition::regclass;
EXCEPTION WHEN undefined_table THEN
    RETURN;
END $$;
