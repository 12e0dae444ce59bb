namespace Dvara.Server.Metering;

/// <summary>
/// Room for the charges of attempts in flight: a ballast file that is deleted when the disk is full, and pages beyond the journal's own
/// bound. While it is given up nothing new is admitted; it is taken back as soon as there is room again.
/// </summary>
internal sealed class JournalReserve(JournalStore store, string ballastFile, long fileBytesMax, long reserveBytes)
{
    private const int PageBytes = 4096;

    private readonly long _pagesMax = fileBytesMax / PageBytes;

    // Written by the journal's writer, read by admission.
    private volatile bool _isHeld;

    public bool IsHeld => _isHeld;

    /// <summary>Makes the reserve's room available to charges.</summary>
    public void GiveUp()
    {
        _isHeld = false;
        File.Delete(ballastFile);
        store.SetPagesMax(_pagesMax + (reserveBytes / PageBytes));
    }

    /// <summary>Takes the reserve if there is room for it.</summary>
    public bool TryHold()
    {
        if (_isHeld)
        {
            return true;
        }

        // A sixteenth to spare: otherwise the next request would only give it up again.
        if (store.PagesInUse() > _pagesMax - (_pagesMax / 16) || !TryMakeBallast())
        {
            return false;
        }

        store.SetPagesMax(_pagesMax);
        _isHeld = true;
        return true;
    }

    private bool TryMakeBallast()
    {
        try
        {
            // Real blocks, not a hole: the room must be there when it is given up.
            using var ballast = new FileStream(
                ballastFile, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, PreallocationSize = reserveBytes });
            return true;
        }
        catch (IOException)
        {
            File.Delete(ballastFile);
            return false;
        }
    }
}
