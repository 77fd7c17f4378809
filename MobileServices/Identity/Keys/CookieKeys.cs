using System.Xml.Linq;
using Dapper;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Npgsql;

namespace MobileServices.Identity.Keys;

/// <summary>The data protection keys in PostgreSQL: every replica reads the cookies and forms of the others, also after a restart.</summary>
internal sealed class CookieKeys(NpgsqlDataSource database) : IXmlRepository
{
    public IReadOnlyCollection<XElement> GetAllElements()
    {
        using var connection = database.OpenConnection();
        return [.. connection.Query<string>("select xml from identity.cookie_key order by id").Select(xml => XElement.Parse(xml))];
    }

    public void StoreElement(XElement element, string friendlyName)
    {
        using var connection = database.OpenConnection();
        connection.Execute("insert into identity.cookie_key (xml) values (@xml)", new { xml = element.ToString(SaveOptions.DisableFormatting) });
    }
}
