using Npgsql;

namespace MobileServices.Sync.Queries;

/// <summary>What SQL leaves out of a page of rows <c>d</c>.</summary>
/// <param name="ByJson">By the members of the bodies too.</param>
internal sealed record Narrowed(SelectorSql Sql, bool ByText, bool ByJson)
{
    /// <summary>Behind the rows: the body is read once, not wherever it is named.</summary>
    public string From => ByJson ? " cross join lateral (select sync.jsonb_or_null(d.body) as json offset 0) as b" : "";

    /// <summary>Behind a <c>where</c>. The last row that is looked at comes in any case: it tells how far that is.</summary>
    public string And(string isLast) =>
        $"{(ByText ? $" and ({isLast} or {Sql.Texts})" : "")}{(ByJson ? $" and ({isLast} or b.json is null or {Sql.Json})" : "")}";

    public void AddTo(NpgsqlParameterCollection parameters) => Sql.AddTo(parameters);
}

/// <summary>
/// How the pages of a scan are narrowed. To read a body in SQL takes as long as to read it here, or longer; only to look for a text in it is much less. So a page is
/// narrowed by texts after one of which less than half was hit, and by JSON what these leave, while they leave little; not at all any more when they leave most.
/// </summary>
internal sealed class Narrowing(SelectorSql? sql)
{
    private long _before;
    private int _rows;
    private int _hits;
    private bool _isOver = sql?.Texts is null;
    private Narrowed? _last;

    /// <summary>How many documents were looked at, in SQL or here.</summary>
    public long Looked { get; private set; }

    /// <summary>For the page that is read now; null: as it is.</summary>
    public Narrowed? Next()
    {
        var looked = Looked - _before;
        _isOver |= _last is not null && _rows * 2 > looked;
        _last = _isOver || _hits * 2 >= looked ? null
            : new(sql!, ByText: true, ByJson: sql!.Json is not null && _last is { } last && (last.ByJson || (_rows * 4 < looked && _hits * 2 < _rows)));
        (_before, _rows, _hits) = (Looked, 0, 0);
        return _last;
    }

    /// <summary>A row came; so many were looked at for it.</summary>
    public void Add(int looked)
    {
        Looked += looked;
        _rows++;
    }

    public void Hit() => _hits++;
}
